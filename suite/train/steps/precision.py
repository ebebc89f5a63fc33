"""Mixed precision, on devices that support it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from suite.grid.recipe import Recipe


@dataclass(frozen=True)
class Precision:
    """The precision of training.

    Args:
        name: Its name in the record.
        dtype: The autocast type; None: float32 throughout.
    """

    name: str
    dtype: torch.dtype | None

    def autocast(self, device: torch.device) -> AbstractContextManager[object]:
        """The autocast context for a forward pass."""
        if self.dtype is None:
            return nullcontext()
        # No cache: each weight is used once per pass, and a CUDA graph must not use memory that the cache frees.
        return torch.autocast(device.type, dtype=self.dtype, cache_enabled=False)

    def scaler(self, device: torch.device) -> torch.amp.GradScaler:
        """The loss scaler. It is enabled only for float16, whose gradients would underflow."""
        return torch.amp.GradScaler(device.type, enabled=self.dtype is torch.float16)


SINGLE = Precision("fp32", None)


def choose_precision(recipe: Recipe, device: torch.device) -> Precision:
    """Choose the precision for a recipe on a device.

    A recipe's `fp32` means float32 and its `bf16` means bfloat16. `auto` means float32 on a CPU and bfloat16 on a GPU.
    GPUs without bfloat16 use float16 instead.

    On a CPU, bfloat16 is much faster with special instructions (AMX, AVX512_BF16) and slower without them. `auto` never
    chooses it there, because the machines of a cluster would then round the same grid in different ways.
    """
    if recipe.precision == "fp32" or (recipe.precision == "auto" and device.type != "cuda"):
        return SINGLE
    if recipe.precision == "bf16" or torch.cuda.is_bf16_supported(including_emulation=False):
        return Precision("bf16", torch.bfloat16)
    return Precision("fp16", torch.float16)


def in_single_precision(output: Any) -> Any:
    """A model's output in evaluation mode, one tensor or a named tuple of several, in single precision."""
    return output.float() if isinstance(output, Tensor) else type(output)(*(part.float() for part in output))

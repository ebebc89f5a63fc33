"""Mixed precision where the device has it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch

from suite.grid.recipe import Recipe


@dataclass(frozen=True)
class Precision:
    """The precision of training: its name in the record, and autocast's type (None: float32 throughout)."""

    name: str
    dtype: torch.dtype | None

    def autocast(self, device: torch.device) -> AbstractContextManager[object]:
        """The context for a forward pass."""
        if self.dtype is None:
            return nullcontext()
        # Uncached: each weight is used once in a pass, and a CUDA graph mustn't hold what a cache frees.
        return torch.autocast(device.type, dtype=self.dtype, cache_enabled=False)

    def scaler(self, device: torch.device) -> torch.amp.GradScaler:
        """The loss scaler: at work in float16 only, whose gradients underflow otherwise."""
        return torch.amp.GradScaler(device.type, enabled=self.dtype is torch.float16)


SINGLE = Precision("fp32", None)


def choose_precision(recipe: Recipe, device: torch.device) -> Precision:
    """float32 on a CPU, unless the recipe asks for bfloat16, and where it asks for that; else bfloat16, or float16 on
    older GPUs.

    On a CPU bfloat16 is much faster where it has instructions for it (AMX, AVX512_BF16), and slower where not. It isn't
    chosen by itself there: the same grid would be rounded in two ways on the machines of a cluster.
    """
    if recipe.precision == "fp32" or (recipe.precision == "auto" and device.type != "cuda"):
        return SINGLE
    if recipe.precision == "bf16" or torch.cuda.is_bf16_supported(including_emulation=False):
        return Precision("bf16", torch.bfloat16)
    return Precision("fp16", torch.float16)

"""Mixed precision where the device has it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch

from suite.recipe import Recipe


@dataclass(frozen=True)
class Precision:
    """What a training computes in: its name in the record, and the type to cast to (None: float32 throughout)."""

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


def choose_precision(recipe: Recipe, device: torch.device) -> Precision:
    """float32 on a CPU and where the recipe asks for it; else bfloat16, or float16 on older GPUs."""
    if recipe.precision == "fp32" or device.type != "cuda":
        return Precision("fp32", None)
    if torch.cuda.is_bf16_supported(including_emulation=False):
        return Precision("bf16", torch.bfloat16)
    return Precision("fp16", torch.float16)

"""When to compile a model with torch.compile, and the compiled model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch

Compiled = TypeVar("Compiled", bound=Callable[..., Any])
COMPILE_FROM = 10_000  # steps of a training on a GPU: fewer don't win back the minute that compiling takes


def worth_compiling(device: torch.device, steps: int) -> bool:
    """Whether a training run of so many steps is shorter with a compiled model."""
    return device.type == "cuda" and steps >= COMPILE_FROM


def compiled_for(device: torch.device, function: Compiled) -> Compiled:
    """The function by torch.compile, each set of shapes by itself.

    On a GPU small kernels that don't depend on each other become one: most of those that cast a weight or sum up its
    gradient. A tenth of a small model's step.
    """
    options: Any = {"combo_kernels": True} if device.type == "cuda" else None
    compiled: Any = torch.compile(function, dynamic=False, options=options)
    return cast(Compiled, compiled)

"""The norms of token streams that are no LayerNorm. Tokens are [batch, tokens, width]."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module

import torch
from torch import Generator, Tensor, nn

from suite.models.norms import Norm
from suite.models.sizes import Grid

EPS = 1e-5  # of all of them, whatever the eps of the architecture's LayerNorms: as released


class TokenNorm(nn.Module):
    """A norm with γ (`weight`) and β (`bias`) per channel, or less; what else it learns, `start` draws."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    @torch.no_grad()
    def start(self, name: str, drawn: Tensor, generator: Generator) -> None:
        """Fill `drawn` with what the parameter of that name starts from."""
        drawn.fill_(1 if name == "weight" else 0)

    def affine(self, x: Tensor) -> Tensor:
        """γ ⊙ x + β."""
        return self.weight * x + self.bias


def norm_maker(norm: Norm, width: int, *, heads: int, grid: Grid) -> Callable[[], nn.Module] | None:
    """What makes one norm of that width, for attention of so many heads; None for the architecture's LayerNorm."""
    if not norm.builder:
        return None
    module, name = norm.builder.split(":")
    return partial(getattr(import_module(module), name), width, heads=heads, grid=grid)

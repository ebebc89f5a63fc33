"""RMSNorm and Dynamic Tanh: norms that see one token at a time, without a mean or without any statistics."""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import rms_norm

from suite.models.normalisers.plain import EPS, Normaliser, TokenNorm
from suite.models.sizes import Grid

ALPHA = 0.5  # the first α of Dynamic Tanh in models other than language models (DyT, arXiv 2503.10622)


class RMSNorm(Normaliser):
    """γ ⊙ x / √(mean x² + ε), the mean over a token's channels (arXiv 1910.07467, Eq. 4). There is no β."""

    def __init__(self, width: int, *, heads: int, grid: Grid) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    @torch.no_grad()
    def start(self, name: str, drawn: Tensor, generator: Generator) -> None:
        """Initialise γ to 1; arguments as in `Normaliser.start`."""
        drawn.fill_(1)

    def forward(self, x: Tensor) -> Tensor:
        """Map [..., width] to the same shape."""
        return rms_norm(x, self.weight.shape, self.weight, EPS)


class DynamicTanh(TokenNorm):
    """γ ⊙ tanh(α x) + β, with one learned number α per layer (arXiv 2503.10622, Eq. 3).

    As in the released code, it replaces the norms before attention and before the MLP and the norm before the head.
    """

    def __init__(self, width: int, *, heads: int, grid: Grid) -> None:
        super().__init__(width)
        self.alpha = nn.Parameter(torch.full((1,), ALPHA))

    @torch.no_grad()
    def start(self, name: str, drawn: Tensor, generator: Generator) -> None:
        """Initialise α to 0.5, γ to 1 and β to 0; arguments as in `Normaliser.start`."""
        if name == "alpha":
            drawn.fill_(ALPHA)
        else:
            super().start(name, drawn, generator)

    def forward(self, x: Tensor) -> Tensor:
        """Map [..., width] to the same shape."""
        return self.affine(torch.tanh(self.alpha * x))

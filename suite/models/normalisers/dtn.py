"""Dynamic Token Normalization (DTN, arXiv 2112.02624): statistics within each token and over nearby tokens.

For the channels of head h, with C channels in total and T tokens on a grid:

    output = γ ⊙ (x − μ) / √(v + ε) + β
    μ^h = λ^h μ_ln + (1 − λ^h) P^h x^h
    v^h = λ^h v_ln + (1 − λ^h) [P^h (x^h ⊙ x^h) − (P^h x^h) ⊙ (P^h x^h)]

μ_ln and v_ln are each token's mean and variance over all C channels, as in LayerNorm. P^h [T, T] is a softmax over
source tokens of R a^h, with R = [dx, dy, dx² + dy²] from source to target and a learned a^h. λ^h is the sigmoid of a
learned scalar and starts at ½. λ = 1 gives LayerNorm; λ = 0 with a uniform P gives InstanceNorm.
"""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn import init
from torch.nn.functional import avg_pool2d, threshold

from suite.models.normalisers.plain import EPS, TokenNorm
from suite.models.norms import pooling
from suite.models.sizes import Grid

LEAST = 1e-30  # smaller entries of P are set to 0


class DynamicTokenNorm(TokenNorm):
    """DTN as in the paper.

    On a grid of 28×28 tokens or more, P relates cells of several tokens (`pooling`) instead of single tokens. A cell's
    value is the mean of its tokens. This is the equations above with one P for all tokens of a cell.

    Args:
        width: the tokens' channels.
        heads: the number of heads. Each has its own P and λ for its width / heads channels.
        grid: rows and columns of the tokens. There must be no tokens outside the grid, such as a class token.
    """

    offsets: Tensor

    def __init__(self, width: int, *, heads: int, grid: Grid) -> None:
        super().__init__(width)
        self.heads = heads
        self.grid = grid
        self.cell = pooling(grid)
        self.position = nn.Parameter(torch.zeros(heads, 3))  # a^h
        self.gate = nn.Parameter(torch.zeros(heads))
        cells = (grid[0] // self.cell, grid[1] // self.cell)
        self.register_buffer("offsets", _offsets(cells), persistent=False)

    def start(self, name: str, drawn: Tensor, generator: Generator) -> None:
        """Initialise a parameter: γ = 1, β = 0, λ = ½, and a^h such that each head favours a different neighbour.

        The heads cover a √H×√H neighbourhood. P's logits −d² + 2 δ·(dx, dy) peak at the head's offset δ. Heads beyond
        ⌊√H⌋² start at random.

        Args:
            name: the parameter's name in this module.
            drawn: the tensor to fill.
            generator: the source of random numbers.
        """
        if name != "position":
            super().start(name, drawn, generator)
            return
        init.trunc_normal_(drawn, std=0.02, generator=generator)
        side = math.isqrt(self.heads)
        centre = (side - 1) / 2 if side % 2 == 0 else side // 2
        for row in range(side):
            for column in range(side):
                drawn[row + side * column] = torch.tensor([2 * (column - centre), 2 * (row - centre), -1.0])

    def shares(self) -> Tensor:
        """P, [heads, T, T], targets by sources; each row sums to 1. T is the number of cells if the grid is pooled."""
        return _shares(self.offsets @ self.position.T)

    def forward(self, x: Tensor) -> Tensor:
        """Map [batch, tokens, width] to the same shape."""
        x = x.to(torch.promote_types(x.dtype, self.weight.dtype))
        with torch.autocast(x.device.type, enabled=False):  # half precision is too coarse for E[x²] − E[x]²
            return self._normalise(x)

    def _normalise(self, x: Tensor) -> Tensor:
        gate = self.gate.sigmoid()
        variance, mean = torch.var_mean(x, dim=2, correction=0, keepdim=True)
        near_mean, near_variance = self._near(x)
        mean, variance = self._mix(gate, mean, near_mean), self._mix(gate, variance, near_variance)
        return self.affine((x - mean) / (variance + EPS).sqrt())

    def _mix(self, gate: Tensor, own: Tensor, near: Tensor) -> Tensor:
        """λ · own + (1 − λ) · near, [batch, tokens, width].

        Args:
            gate: λ, [heads].
            own: the token's own statistic, [batch, tokens, 1].
            near: the statistic over nearby tokens, [batch, tokens, width].
        """
        share = gate.repeat_interleave(near.shape[2] // self.heads)
        return share * own + (1 - share) * near

    def _near(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean P x and variance P (x ⊙ x) − (P x) ⊙ (P x), [batch, tokens, width] each."""
        # Subtracting one vector from all tokens leaves the variance unchanged and reduces its rounding error.
        centre = x.detach().mean(dim=1, keepdim=True)
        x = x - centre
        first, second = self._local(self._pool(x), self._pool(x * x))
        variance = (second - first * first).clamp(min=0)
        return self._spread(first) + centre, self._spread(variance)

    def _local(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """Apply P to both tensors, with one matrix product per head for the whole batch: P isn't copied per image."""
        batch, tokens = first.shape[:2]
        by_head = [part.unflatten(2, (self.heads, -1)).permute(2, 1, 0, 3) for part in (first, second)]
        both = torch.cat(by_head, dim=2).flatten(2)  # one copy
        local = torch.bmm(self.shares(), both).unflatten(2, (2 * batch, -1)).permute(2, 1, 0, 3)
        first, second = local.reshape(2 * batch, tokens, -1).chunk(2)
        return first, second

    def _pool(self, x: Tensor) -> Tensor:
        """Average the tokens of each cell: [batch, tokens, width] to [batch, cells, width]."""
        if self.cell == 1:
            return x
        maps = avg_pool2d(x.transpose(1, 2).unflatten(2, self.grid), self.cell)
        return maps.flatten(2).transpose(1, 2)

    def _spread(self, x: Tensor) -> Tensor:
        """Copy each cell's value to its tokens: [batch, cells, width] to [batch, tokens, width]."""
        if self.cell == 1:
            return x
        x = x.unflatten(1, (self.grid[0] // self.cell, -1))
        return x.repeat_interleave(self.cell, dim=1).repeat_interleave(self.cell, dim=2).flatten(1, 2)

    def extra_repr(self) -> str:
        """The settings, for `print(model)`."""
        return f"heads={self.heads}, grid={self.grid}, cell={self.cell}"


class ReleasedDynamicTokenNorm(DynamicTokenNorm):
    """DTN as in its released code, which differs from the paper:

    - Each head's channels are first divided by their root mean square.
    - v_ln is the unbiased variance.
    - Mean and variance have separate gates.
    - R a^h has a bias, which the softmax cancels.
    - If the grid is pooled, the squares are those of the cells' means.
    - a^h starts at random, because the model's own initialisation overwrites DTN's.
    """

    dynamic_mean: ClassVar[bool] = True

    def __init__(self, width: int, *, heads: int, grid: Grid) -> None:
        super().__init__(width, heads=heads, grid=grid)
        self.position_bias = nn.Parameter(torch.zeros(heads))
        self.mean_gate = nn.Parameter(torch.zeros(heads)) if self.dynamic_mean else None

    def start(self, name: str, drawn: Tensor, generator: Generator) -> None:
        """Initialise a parameter: γ = 1, β = 0, λ = ½, and a random a^h.

        Args:
            name: the parameter's name in this module.
            drawn: the tensor to fill.
            generator: the source of random numbers.
        """
        if name == "position":
            init.trunc_normal_(drawn, std=0.02, generator=generator)
        else:
            super().start(name, drawn, generator)

    def shares(self) -> Tensor:
        """P, [heads, T, T], as in `DynamicTokenNorm.shares`, with the bias added to the logits."""
        return _shares(self.offsets @ self.position.T + self.position_bias)

    def _normalise(self, x: Tensor) -> Tensor:
        heads = x.unflatten(2, (self.heads, -1))
        x = (heads / (heads.square().mean(dim=3, keepdim=True) + EPS).sqrt()).flatten(2)
        variance, mean = torch.var_mean(x, dim=2, correction=1, keepdim=True)
        near_mean, near_variance = self._near(x)
        if self.mean_gate is not None:
            mean = self._mix(self.mean_gate.sigmoid(), mean, near_mean)
        variance = self._mix(self.gate.sigmoid(), variance, near_variance)
        return self.affine((x - mean) / (variance + EPS).sqrt())

    def _near(self, x: Tensor) -> tuple[Tensor, Tensor]:
        centre = x.detach().mean(dim=1, keepdim=True)
        x = self._pool(x - centre)
        first, second = self._local(x, x * x)
        return self._spread(first) + centre, self._spread((second - first * first).clamp(min=0))


class DynamicVarianceNorm(ReleasedDynamicTokenNorm):
    """The released code's variant with LayerNorm's mean: only the variance uses nearby tokens."""

    dynamic_mean = False


def _shares(scores: Tensor) -> Tensor:
    """The softmax over sources: [T, T, heads] to [heads, T, T], with entries below `LEAST` set to 0.

    For tokens far apart, the softmax gives subnormal numbers. CPUs multiply these so slowly that the whole model took
    twice as long.
    """
    return threshold(scores.permute(2, 0, 1).softmax(dim=2), LEAST, 0.0)


def _offsets(grid: Grid) -> Tensor:
    """R, [T, T, 3] for T = rows × columns: dx, dy and dx² + dy² from source (second axis) to target (first axis)."""
    y, x = (axis.ravel() for axis in np.mgrid[: grid[0], : grid[1]])
    dx, dy = (torch.tensor(axis[:, None] - axis[None, :]) for axis in (x, y))
    return torch.stack([dx, dy, dx**2 + dy**2], dim=2).float()

"""Dynamic Token Normalization (DTN, arXiv 2112.02624): statistics within each token, and among tokens near it.

For the channels of head h, with C channels in all and T tokens on a grid:

    output = γ ⊙ (x − μ) / √(v + ε) + β
    μ^h = λ^h μ_ln + (1 − λ^h) P^h x^h
    v^h = λ^h v_ln + (1 − λ^h) [P^h (x^h ⊙ x^h) − (P^h x^h) ⊙ (P^h x^h)]

μ_ln, v_ln: of each token over all C channels, as in LayerNorm. P^h [T, T]: a softmax over source tokens of
R a^h, with R = [dx, dy, dx² + dy²] from source to target, and a^h learned. λ^h: the sigmoid of a learned scalar,
½ at first. λ = 1 is LayerNorm; λ = 0 with a uniform P is InstanceNorm.
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

LEAST = 1e-30  # of a share in P


class DynamicTokenNorm(TokenNorm):
    """DTN as in the paper.

    On a grid of 28×28 tokens and more, P is among cells of several tokens (`pooling`), each the mean of its own: the
    equations above with a P that is the same for all tokens of a cell.

    Args:
        width: the tokens' channels.
        heads: P and λ are per head, each of width / heads channels.
        grid: rows and columns of the tokens, which must be all there are.
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
        """γ = 1, β = 0, λ = ½; each head looks to a neighbour of its own.

        Heads fill a √H×√H neighbourhood: P's logits −d² + 2 δ·(dx, dy) have their peak at the head's offset δ.
        Heads beyond ⌊√H⌋² start at random.
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
        """P, [heads, T, T], of targets by sources: each row sums to 1. T counts cells where the grid is pooled."""
        return _shares(self.offsets @ self.position.T)

    def forward(self, x: Tensor) -> Tensor:
        """[batch, tokens, width] to the same."""
        x = x.to(torch.promote_types(x.dtype, self.weight.dtype))
        with torch.autocast(x.device.type, enabled=False):  # a difference of squares: not in half precision
            return self._normalise(x)

    def _normalise(self, x: Tensor) -> Tensor:
        gate = self.gate.sigmoid()
        variance, mean = torch.var_mean(x, dim=2, correction=0, keepdim=True)
        near_mean, near_variance = self._near(x)
        mean, variance = self._mix(gate, mean, near_mean), self._mix(gate, variance, near_variance)
        return self.affine((x - mean) / (variance + EPS).sqrt())

    def _mix(self, gate: Tensor, own: Tensor, near: Tensor) -> Tensor:
        """λ · own + (1 − λ) · near: [batch, tokens, 1] and [batch, tokens, width] to the latter."""
        share = gate.repeat_interleave(near.shape[2] // self.heads)
        return share * own + (1 - share) * near

    def _near(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """P x and P (x ⊙ x) − (P x) ⊙ (P x), [batch, tokens, width] each."""
        # The variance doesn't change if all tokens move by one vector, but rounding does: so centre them first.
        centre = x.detach().mean(dim=1, keepdim=True)
        x = x - centre
        first, second = self._local(self._pool(x), self._pool(x * x))
        variance = (second - first * first).clamp(min=0)
        return self._spread(first) + centre, self._spread(variance)

    def _local(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """P applied to both at once, as one product per head for the whole batch: P isn't copied for each image."""
        batch, tokens = first.shape[:2]
        both = torch.cat([first, second]).unflatten(2, (self.heads, -1)).permute(2, 1, 0, 3).flatten(2)
        local = torch.bmm(self.shares(), both).unflatten(2, (2 * batch, -1)).permute(2, 1, 0, 3)
        first, second = local.reshape(2 * batch, tokens, -1).chunk(2)
        return first, second

    def _pool(self, x: Tensor) -> Tensor:
        """The means of the cells: [batch, tokens, width] to [batch, cells, width]."""
        if self.cell == 1:
            return x
        maps = avg_pool2d(x.transpose(1, 2).unflatten(2, self.grid), self.cell)
        return maps.flatten(2).transpose(1, 2)

    def _spread(self, x: Tensor) -> Tensor:
        """Each cell's value to all of its tokens: [batch, cells, width] to [batch, tokens, width]."""
        if self.cell == 1:
            return x
        x = x.unflatten(1, (self.grid[0] // self.cell, -1))
        return x.repeat_interleave(self.cell, dim=1).repeat_interleave(self.cell, dim=2).flatten(1, 2)

    def extra_repr(self) -> str:
        """For `print(model)`."""
        return f"heads={self.heads}, grid={self.grid}, cell={self.cell}"


class ReleasedDynamicTokenNorm(DynamicTokenNorm):
    """DTN as in its released code.

    Each head's channels are first divided by their root mean square. v_ln is the unbiased variance. Mean and
    variance have gates of their own. R a^h has a bias, which the softmax doesn't see. Where the grid is pooled, the
    squares are those of the cells' means. And a^h starts at random: the model's own initialisation comes after DTN's.
    """

    dynamic_mean: ClassVar[bool] = True

    def __init__(self, width: int, *, heads: int, grid: Grid) -> None:
        super().__init__(width, heads=heads, grid=grid)
        self.position_bias = nn.Parameter(torch.zeros(heads))
        self.mean_gate = nn.Parameter(torch.zeros(heads)) if self.dynamic_mean else None

    def start(self, name: str, drawn: Tensor, generator: Generator) -> None:
        """γ = 1, β = 0, λ = ½, a^h at random."""
        if name == "position":
            init.trunc_normal_(drawn, std=0.02, generator=generator)
        else:
            super().start(name, drawn, generator)

    def shares(self) -> Tensor:
        """P, [heads, T, T], as in the paper's."""
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
    """The released code's variant whose mean is LayerNorm's: only the variance is taken among tokens."""

    dynamic_mean = False


def _shares(scores: Tensor) -> Tensor:
    """The softmax over sources: [T, T, heads] to [heads, T, T].

    Of tokens far apart it would leave powers so small that a CPU multiplies them at a fraction of its speed, since they
    are no normal numbers: the whole model took twice its time. They are zero here.
    """
    return threshold(scores.permute(2, 0, 1).softmax(dim=2), LEAST, 0.0)


def _offsets(grid: Grid) -> Tensor:
    """R, [T, T, 3] for T = rows × columns: dx, dy and dx² + dy² from source (second axis) to target."""
    y, x = (axis.ravel() for axis in np.mgrid[: grid[0], : grid[1]])
    dx, dy = (torch.tensor(axis[:, None] - axis[None, :]) for axis in (x, y))
    return torch.stack([dx, dy, dx**2 + dy**2], dim=2).float()

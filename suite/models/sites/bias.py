"""Position embeddings that add to attention's logits."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from suite.models.positions import relative_index
from suite.models.sites.site import Bias, ContextualBias, Place, softmax_scale
from suite.models.sizes import Grid

BUCKETS = (1.9, 3.8, 15.2)  # α, β and γ of iRPE's piecewise index function, as in its released models


class RelativeBias(Bias):
    """The bias of a relative PE: a learned number per head and 2-D offset between patches (Swin, Eq. 4).

    `table` is [(2H-1)(2W-1), heads] for H×W patches. `Rules.relative_std` says how it starts.
    """

    index: Tensor

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        rows, columns = place.grid
        self.patches = rows * columns
        self.table = nn.Parameter(torch.zeros((2 * rows - 1) * (2 * columns - 1), place.heads))
        self.register_buffer("index", torch.tensor(relative_index(place.grid)).flatten(), persistent=False)

    def forward(self) -> Tensor:
        """[heads, patches, patches], of queries by keys."""
        bias: Tensor = self.table[self.index].T.unflatten(1, (self.patches, self.patches))
        return bias


class DistanceBias(Bias):
    """-s_h times the Euclidean distance between two patches, with a fixed slope s_h for each head (2-D ALiBi)."""

    per_block = False
    bias: Tensor

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        row, column = place.rows_and_columns()
        distance = torch.hypot(row[:, None] - row, column[:, None] - column)
        slopes = torch.tensor(alibi_slopes(place.heads))
        self.register_buffer("bias", -slopes[:, None, None] * distance, persistent=False)

    def forward(self) -> Tensor:
        """[heads, patches, patches], of queries by keys."""
        return self.bias


def alibi_slopes(heads: int) -> list[float]:
    """The slope of each head: 2^(-8/n), 2^(-16/n), … for n heads (ALiBi, arXiv 2108.12409, §3).

    If n is no power of two, the sequence of the next smaller power comes first. Every second slope of the next larger
    power follows, as in ALiBi's released code.
    """
    power = 2 ** int(math.log2(heads))
    slopes = [2 ** (-8 * (head + 1) / power) for head in range(power)]
    between = [2 ** (-8 * (head + 1) / (2 * power)) for head in range(0, 2 * power, 2)]
    return slopes + between[: heads - power]


class ProductBias(ContextualBias):
    """q_i · r_b(i,j) / √(head width), with a learned vector r for each bucket b of 2-D offsets.

    This is the contextual mode of iRPE (arXiv 2107.14222) with the product method, on keys. The heads share `table`,
    [head width, buckets]. Pairs with a prefix token have a bucket of their own, the last one.
    """

    index: Tensor

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        buckets = bucket_side() ** 2 + (1 if place.prefix else 0)
        self.scale = softmax_scale(place)
        self.table = nn.Parameter(torch.zeros(place.head_width, buckets))
        index = torch.tensor(bucket_index(place.grid, place.prefix))
        self.register_buffer("index", index, persistent=False)

    def forward(self, q: Tensor) -> Tensor:
        """[batch, heads, queries, head width] to [batch, heads, queries, tokens]."""
        products = q @ (self.table * self.scale)
        index = torch.narrow(self.index, 0, 0, q.shape[2])
        return torch.take_along_dim(products, index[None, None], dim=3)


def bucket_side() -> int:
    """The number of buckets of offsets along each axis."""
    return 2 * int(BUCKETS[1]) + 1


def bucket_index(grid: Grid, prefix: int) -> npt.NDArray[np.int64]:
    """The bucket of each query and key of prefix + H×W tokens, [tokens, tokens] (iRPE, arXiv 2107.14222, product).

    An offset δ has the index g(δ) = round(δ) if |δ| ≤ α, otherwise sign(δ) min(β, round(α + (β - α) ln(|δ|/α) /
    ln(γ/α))). As released, β limits the index as a whole number. Row and column have an index each. Pairs with a prefix
    token have the last bucket.
    """
    alpha, beta, gamma = BUCKETS
    most, side = int(beta), bucket_side()

    def piecewise(offset: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        size = np.maximum(np.abs(offset), alpha)
        far = np.rint(alpha + (beta - alpha) * np.log(size / alpha) / math.log(gamma / alpha))
        index = np.where(np.abs(offset) <= alpha, offset, np.sign(offset) * np.minimum(far, most))
        return index.astype(np.int64)

    y, x = (axis.ravel() for axis in np.mgrid[: grid[0], : grid[1]])
    buckets = (piecewise(y[:, None] - y) + most) * side + piecewise(x[:, None] - x) + most
    return np.pad(buckets, ((prefix, 0), (prefix, 0)), constant_values=side**2)

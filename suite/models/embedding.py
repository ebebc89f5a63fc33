"""The position embedding of a model or of one of its stages: a PE, and the maps of a joining method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, pad

from suite.models.joins import LAYER_NORM, BlockMap, Join
from suite.models.positions import Position, relative_index
from suite.models.sizes import Grid


class BlockTerms(NamedTuple):
    """What the position adds to one block: the joining method's `Terms` for it, [1, tokens, width], and a bias.

    bias: of a relative PE, [heads, tokens, tokens], added to the attention's scaled products before the softmax.
    """

    stream: Tensor | None = None
    inside: Tensor | None = None
    branch: Tensor | None = None
    bias: Tensor | None = None

    def of_patches(self, prefix: int) -> BlockTerms:
        """The terms of the patch tokens alone, without the first `prefix` rows."""
        stream, inside, branch = (
            None if term is None else term[:, prefix:] for term in (self.stream, self.inside, self.branch)
        )
        return BlockTerms(stream, inside, branch, None if self.bias is None else self.bias[:, prefix:, prefix:])


class Joined(NamedTuple):
    """What a position embedding adds, and where; see `Terms`."""

    stem: Tensor | None
    blocks: list[BlockTerms]
    omega: Tensor | None


class PositionEmbedding(nn.Module):
    """The tables ω, the blocks' maps and the relative biases.

    `tables` holds one PE, one per block, or none; `maps` holds one map per block. A fixed PE is a frozen parameter, as
    in the published code, so that parameter counts and state dicts agree with it.

    Args:
        position: the PE type.
        join: the joining method.
        grid: rows and columns of the patch tokens.
        prefix: the number of tokens before them.
        width: the tokens' channels.
        depth: the number of blocks.
        heads: of each block's attention.
        eps: of the model's norms, for the maps' norms.
        window: rows and columns of an attention window; None if attention sees the whole grid.
        carried: ω is an argument of each forward pass, from the stage before, and there is no table here.
    """

    def __init__(
        self,
        position: Position,
        join: Join,
        *,
        grid: Grid,
        prefix: int,
        width: int,
        depth: int,
        heads: int,
        eps: float,
        window: Grid | None = None,
        carried: bool = False,
    ) -> None:
        super().__init__()
        self.position = position
        self.join = join
        self.grid = grid
        self.prefix = prefix
        per_block = join.tables == "per_block"
        count = 0 if not position.absolute or (carried and not per_block) else depth if per_block else 1
        if position.table is None:  # learned: `initialise` draws it
            tables = [nn.Parameter(torch.zeros(1, prefix + grid[0] * grid[1], width)) for _ in range(count)]
        else:
            fixed = torch.tensor(position.table(grid, prefix, width)).unsqueeze(0)
            tables = [nn.Parameter(fixed, requires_grad=False) for _ in range(count)]
        self.tables = nn.ParameterList(tables)
        self.maps = nn.ModuleList(_block_map(join.block_map, width, eps) for _ in range(depth))
        self.biases = nn.ModuleList(
            RelativeBias(window or grid, prefix, heads) for _ in range(depth if position.relative else 0)
        )

    def forward(self, carried: Tensor | None = None) -> Joined:
        """What the joining method adds, and where. Computed once per forward pass, for all images of the batch.

        carried: ω of the stage before, [1, tokens, width], if this stage has no table of its own.
        """
        tables = list(self.tables) or ([] if carried is None else [carried])
        terms = self.join.terms(tables, list(self.maps))

        def of(values: Sequence[Tensor], block: int) -> Tensor | None:
            return values[block] if values else None

        biases = [bias() for bias in self.biases]
        blocks = [
            BlockTerms(of(terms.stream, block), of(terms.inside, block), of(terms.branch, block), of(biases, block))
            for block in range(len(self.maps))
        ]
        return Joined(terms.stem, blocks, terms.omega)

    def extra_repr(self) -> str:
        """For `print(model)`."""
        return f"pe={self.position.name}, join={self.join.name}"


class RelativeBias(nn.Module):
    """The bias of a relative PE: a learned number per head and 2-D offset between patches (Swin, Eq. 4).

    `table` is [(2H-1)(2W-1), heads] for H×W patches. Prefix tokens have no offset, and no bias.
    """

    index: Tensor

    def __init__(self, grid: Grid, prefix: int, heads: int) -> None:
        super().__init__()
        rows, columns = grid
        self.prefix = prefix
        self.tokens = rows * columns
        self.table = nn.Parameter(torch.zeros((2 * rows - 1) * (2 * columns - 1), heads))
        self.register_buffer("index", torch.tensor(relative_index(grid)).flatten(), persistent=False)

    def forward(self) -> Tensor:
        """[heads, tokens, tokens], of queries by keys."""
        bias = self.table[self.index].T.unflatten(1, (self.tokens, self.tokens))
        return pad(bias, (self.prefix, 0, self.prefix, 0)) if self.prefix else bias


class PositionMap(nn.Module):
    """A part of a LayerNorm: γ · Norm(ω) + β with or without the norm, γ (a scalar, or per channel) and β."""

    def __init__(self, spec: BlockMap, width: int, eps: float) -> None:
        super().__init__()
        self.spec = spec
        self.width = width
        self.eps = eps
        scales = {None: 0, "scalar": 1, "channel": width}[spec.scale]
        self.weight = nn.Parameter(torch.ones(scales)) if scales else None
        self.bias = nn.Parameter(torch.zeros(width)) if spec.shift else None

    def forward(self, omega: Tensor) -> Tensor:
        """[1, tokens, width] to the same."""
        if self.spec.norm:
            omega = layer_norm(omega, (self.width,), eps=self.eps)
        if self.weight is not None:
            omega = self.weight * omega
        return omega if self.bias is None else omega + self.bias


def _block_map(spec: BlockMap | None, width: int, eps: float) -> nn.Module:
    if spec is None:
        return nn.Identity()
    return nn.LayerNorm(width, eps=eps) if spec == LAYER_NORM else PositionMap(spec, width, eps)

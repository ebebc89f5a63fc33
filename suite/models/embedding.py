"""The position embedding of a model: its PE tables, the maps of its joining method, and what they add where."""

from __future__ import annotations

import torch
from torch import nn

from suite.models.joins import Join, Terms
from suite.models.positions import Position

# The learned map of a block's position, by `Join.block_map`; made from (width, eps of the model's norms).
BLOCK_MAPS = {"layer_norm": lambda width, eps: nn.LayerNorm(width, eps=eps)}


class PositionEmbedding(nn.Module):
    """ω and the maps: `tables` holds one PE (or one per block, or none), `maps` one map per block.

    A fixed PE is a frozen parameter, as in the published code, so that counts and state dicts agree.
    """

    def __init__(
        self,
        position: Position,
        join: Join,
        *,
        grid: tuple[int, int],
        prefix: int,
        width: int,
        depth: int,
        eps: float,
    ) -> None:
        super().__init__()
        self.position = position
        self.join = join
        count = 0 if not position.absolute else depth if join.tables == "per_block" else 1
        if position.table is None:  # learned: `initialise` draws it
            tables = [nn.Parameter(torch.zeros(1, prefix + grid[0] * grid[1], width)) for _ in range(count)]
        else:
            fixed = torch.tensor(position.table(grid, prefix, width)).unsqueeze(0)
            tables = [nn.Parameter(fixed, requires_grad=False) for _ in range(count)]
        self.tables = nn.ParameterList(tables)
        self.maps = nn.ModuleList(
            nn.Identity() if join.block_map is None else BLOCK_MAPS[join.block_map](width, eps) for _ in range(depth)
        )

    def forward(self) -> Terms:
        """What the joining method adds, and where: once per forward, for all images of the batch."""
        return self.join.terms(list(self.tables), list(self.maps))

    def extra_repr(self) -> str:
        """For `print(model)`."""
        return f"pe={self.position.name}, join={self.join.name}"

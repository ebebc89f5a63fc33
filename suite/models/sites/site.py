"""The interface of a position embedding (PE) inside the blocks: one small module class for each site.

| class | site | what its `forward` returns |
|---|---|---|
| `Bias` | attention's logits | what is added to the scaled products q·k, the same for all images |
| `ContextualBias` | attention's logits | the same, computed from the queries |
| `Rotation` | queries and keys | angles; attention turns pairs of channels of q and k by them |
| `AfterBlock` | the output of a block | the patch tokens after the block |

To add a PE, subclass one of them and register it (`suite.models.positions`, or `suite.methods.position` from outside of
the package). The model makes one module for each block, or one for all blocks if `per_block` is false.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor, nn

from suite.models.positions import ATTENTION_LOGITS, BLOCK_OUTPUT, QUERIES_AND_KEYS
from suite.models.sizes import Grid


@dataclass(frozen=True)
class Place:
    """Where a module of a PE acts.

    Attributes:
        grid: rows and columns of the patches: of one attention window if attention has windows, otherwise of all
            patches. A module that acts after a block always gets all patches.
        prefix: the tokens before the patches in this block, such as a class token.
        width: the tokens' channels.
        heads: the number of attention heads.
        block: the number of the block within its stage, from 0.
    """

    grid: Grid
    prefix: int
    width: int
    heads: int
    block: int = 0

    @property
    def head_width(self) -> int:
        """The channels of one attention head."""
        return self.width // self.heads

    def rows_and_columns(self) -> tuple[Tensor, Tensor]:
        """The row and the column of each patch, counted from 0, in row-major order: float [patches] each."""
        rows, columns = (torch.arange(side, dtype=torch.float32) for side in self.grid)
        row, column = torch.meshgrid(rows, columns, indexing="ij")
        return row.flatten(), column.flatten()


class Site(nn.Module):
    """A part of a PE that acts in a block. Subclass one of the classes below.

    Attributes:
        site: where it acts, one of `suite.models.positions.SITES`.
        per_block: each block has its own module. Set it to False if there are no parameters: one module then serves
            all blocks, and is called once per forward pass.
        no_decay: the parameters have no weight decay, like those of an absolute PE (see `Recipe.decay_position`).
    """

    site: ClassVar[str]
    per_block: ClassVar[bool] = True
    no_decay: ClassVar[bool] = False

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place

    @torch.no_grad()
    def start(self, name: str, drawn: Tensor, generator: Generator) -> None:
        """Fill `drawn` with the initial value of one of this module's own parameters; 0 unless a subclass says more.

        Parameters of modules inside it, such as an `nn.Linear`, start by the rules of the model.

        Args:
            name: the parameter's name in this module.
            drawn: the tensor to fill, on the CPU.
            generator: the source of random numbers, seeded for this parameter alone.
        """
        drawn.zero_()


class Bias(Site):
    """Adds to attention's logits, the same for all images.

    `forward()` returns [heads, patches, patches], queries by keys. Prefix tokens get no bias.
    """

    site = ATTENTION_LOGITS

    def forward(self) -> Tensor:
        """What is added to the scaled products, before the softmax."""
        raise NotImplementedError


class ContextualBias(Site):
    """Adds to attention's logits what depends on the queries.

    `forward(q)` gets the queries before they are scaled, [batch, heads, queries, head width], and returns
    [batch, heads, queries, prefix + patches]. It may be given the first queries alone. In attention windows, the second
    dimension is windows × heads.
    """

    site = ATTENTION_LOGITS

    def forward(self, q: Tensor) -> Tensor:
        """What is added to the scaled products, before the softmax."""
        raise NotImplementedError


class Rotation(Site):
    """Turns queries and keys.

    `forward()` returns the angles in radians, [patches, head width / 2], or [heads, patches, head width / 2] with
    angles of their own for each head. Attention turns channels (2t, 2t + 1) of a patch's q and k by its angle t. Prefix
    tokens aren't turned.
    """

    site = QUERIES_AND_KEYS

    def forward(self) -> Tensor:
        """The angles."""
        raise NotImplementedError


class AfterBlock(Site):
    """Acts on the patch tokens after a block: `forward(patches)` maps [batch, patches, width] to the same shape.

    Prefix tokens stay as they are.
    """

    site = BLOCK_OUTPUT

    def forward(self, patches: Tensor) -> Tensor:
        """The patch tokens that the next block gets."""
        raise NotImplementedError

    def of_tokens(self, x: Tensor) -> Tensor:
        """All tokens after the block, [batch, prefix + patches, width], to the same shape."""
        prefix = self.place.prefix
        patches: Tensor = self(x[:, prefix:]).to(x.dtype)
        return torch.cat([x[:, :prefix], patches], dim=1) if prefix else patches

    def as_map(self, patches: Tensor) -> Tensor:
        """Patch tokens [batch, patches, width] as a feature map, [batch, width, rows, columns]."""
        feature_map: Tensor = patches.transpose(1, 2).unflatten(2, self.place.grid)
        return feature_map

    def as_patches(self, feature_map: Tensor) -> Tensor:
        """The inverse of `as_map`."""
        return feature_map.flatten(2).transpose(1, 2)


def softmax_scale(place: Place) -> float:
    """What attention multiplies its products q·k by: 1/√(head width)."""
    return 1 / math.sqrt(place.head_width)

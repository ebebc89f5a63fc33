"""The bodies that the families share. What differs is in the families' files."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from suite.models.architectures import Architecture
from suite.models.embedding import PositionEmbedding
from suite.models.joins import Join
from suite.models.layers import Block, ClassTokenPool, SequencePool, drop_path_rates, plus
from suite.models.model import Model
from suite.models.normalisers import norm_maker
from suite.models.norms import Norm, normalised_blocks
from suite.models.positions import Position
from suite.models.sizes import PlainSize


class Transformer(Model):
    """A model that makes tokens of an image."""


class VisionTransformer(Transformer):
    """A tokenizer, a position embedding, blocks of one width, and a head on their pooled tokens.

    late: the number of blocks before the prefix tokens join. There they are not; their rows of the position join
    with them.
    """

    tokenizer_type: ClassVar[type[nn.Module]]
    block_type: ClassVar[type[Block]]

    def __init__(
        self,
        architecture: Architecture,
        position: Position,
        join: Join,
        norm: Norm,
        *,
        num_classes: int,
        image_size: int,
        in_chans: int,
    ) -> None:
        super().__init__(
            architecture, position, join, norm, num_classes=num_classes, image_size=image_size, in_chans=in_chans
        )
        size = architecture.size
        assert isinstance(size, PlainSize)
        prefix, width = architecture.family.prefix, size.embed_dim

        self.tokenizer = self.tokenizer_type(size, in_chans)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width)) if prefix else None
        self.position = PositionEmbedding(
            position,
            join,
            grid=size.token_grid(image_size),
            prefix=prefix,
            width=width,
            depth=size.depth,
            heads=size.num_heads,
            eps=size.norm_eps,
        )
        ((grid, normalised),) = normalised_blocks(size, image_size)
        self.late = normalised if norm.grid or architecture.family.late_prefix else 0
        make = norm_maker(norm, width, heads=size.num_heads, grid=grid)
        self.blocks = nn.ModuleList(
            self.block_type(
                size, width=width, heads=size.num_heads, drop_path=rate, norm=make if block < normalised else None
            )
            for block, rate in enumerate(drop_path_rates(size.drop_path, size.depth))
        )
        self.norm = nn.LayerNorm(width, eps=size.norm_eps)
        self.pool = ClassTokenPool() if prefix else SequencePool(width)
        self.head = nn.Linear(width, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """[batch, channels, height, width] to logits [batch, classes]."""
        logits: Tensor = self.head(self.pool(self.norm(self.encode(self.embed(images)))))
        return logits

    def embed(self, images: Tensor) -> Tensor:
        """The tokens of images, without any position: [batch, prefix + patches, width], or the late prefix left out."""
        # The residual stream has the parameters' type under autocast too. Else it would be float32 with a
        # position in the stem and half precision without, and a contrast of joins would be one of precisions.
        x: Tensor = self.tokenizer(images).to(self.norm.weight.dtype)
        return x if self.late else self._with_prefix(x, None)

    def _with_prefix(self, x: Tensor, stem: Tensor | None) -> Tensor:
        """The prefix tokens, with what the stem adds to them, before the others."""
        prefix = self.prefix()
        return x if prefix is None else torch.cat([plus(prefix, stem).expand(len(x), -1, -1), x], dim=1)

    def prefix(self) -> Tensor | None:
        """The tokens before the patches, [1, prefix, width]."""
        return self.class_token

    def encode(self, x: Tensor) -> Tensor:
        """The position joins and the blocks run: what `embed` gives to [batch, prefix + patches, width]."""
        joined = self.position()
        stem, prefix = joined.stem, self.position.prefix
        x = plus(x, stem if stem is None or not self.late else stem[:, prefix:])
        for number, (block, at) in enumerate(zip(self.blocks, joined.blocks, strict=True)):
            if self.late and number == self.late:
                x = self._with_prefix(x, None if stem is None else stem[:, :prefix])
            x = block(x, at.of_patches(prefix) if number < self.late else at)
        return x

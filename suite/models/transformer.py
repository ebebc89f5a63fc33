"""The body that the families share: tokens, position, blocks, head. What differs is in the families' files."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from suite.models.architectures import Architecture
from suite.models.embedding import PositionEmbedding
from suite.models.initialise import Rules
from suite.models.joins import Join
from suite.models.layers import Block, ClassTokenPool, SequencePool
from suite.models.positions import Position


class VisionTransformer(nn.Module):
    """A tokenizer, a position embedding, blocks, and a head on their pooled tokens.

    Parameters have the same names whatever the PE and the joining method: `initialise` relies on it.
    """

    rules: ClassVar[Rules]
    tokenizer_type: ClassVar[type[nn.Module]]
    block_type: ClassVar[type[Block]]

    def __init__(
        self,
        architecture: Architecture,
        position: Position,
        join: Join,
        *,
        num_classes: int,
        image_size: int,
        in_chans: int,
    ) -> None:
        super().__init__()
        self.architecture = architecture
        self.image_size = image_size
        self.in_chans = in_chans
        size, width = architecture.size, architecture.size.embed_dim
        class_token = architecture.family.class_token

        self.tokenizer = self.tokenizer_type(size, in_chans)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width)) if class_token else None
        self.position = PositionEmbedding(
            position,
            join,
            grid=size.token_grid(image_size),
            prefix=int(class_token),
            width=width,
            depth=size.depth,
            eps=size.norm_eps,
        )
        self.blocks = nn.ModuleList(
            self.block_type(size, drop_path=size.drop_path * block / max(1, size.depth - 1))
            for block in range(size.depth)
        )
        self.norm = nn.LayerNorm(width, eps=size.norm_eps)
        self.pool = ClassTokenPool() if class_token else SequencePool(width)
        self.head = nn.Linear(width, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """[batch, channels, height, width] to logits [batch, classes]."""
        # The residual stream has the parameters' type under autocast too. Else it would be float32 with a
        # position in the stem and half precision without, and a contrast of joins would be one of precisions.
        x = self.tokenizer(images).to(self.norm.weight.dtype)
        if self.class_token is not None:
            x = torch.cat([self.class_token.expand(len(x), -1, -1), x], dim=1)

        terms = self.position()
        if terms.stem is not None:
            x = x + terms.stem
        none = [None] * len(self.blocks)
        for block, stream, branch in zip(self.blocks, terms.stream or none, terms.branch or none, strict=True):
            x = block(x, stream, branch)

        logits: Tensor = self.head(self.pool(self.norm(x)))
        return logits

    def position_and_class_parameters(self) -> set[str]:
        """The names of the PE tables and the class token: what `Recipe.decay_position` speaks of.

        Not the maps of the joining method: they are norms, which no recipe decays.
        """
        tables = {f"position.tables.{index}" for index in range(len(self.position.tables))}
        return tables if self.class_token is None else {"class_token", *tables}

"""The base classes of the transformer families. Each family's module defines what differs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from suite.models.architectures import Architecture
from suite.models.embedding import PositionEmbedding
from suite.models.joins import Join
from suite.models.layers.blocks import Block, ClassTokenPool, SequencePool, drop_path_rates, plus
from suite.models.layers.sparing import spares_tokens
from suite.models.model import Model
from suite.models.normalisers.plain import norm_maker
from suite.models.norms import PLAIN_BLOCKS, Norm, normalised_blocks
from suite.models.positions import Position
from suite.models.sizes import PlainSize


class Tokens(NamedTuple):
    """The patch tokens of a batch at several depths, without the class token: [batch, patches, width] each.

    Attributes:
        embedded: before any position embedding is added.
        blocks: after each watched block.
        normalised: after the last block and the final norm.
    """

    embedded: Tensor
    blocks: tuple[Tensor, ...]
    normalised: Tensor


class Transformer(Model):
    """A model that works on tokens: `embed`, then `encode`, the final norm, and `classify`.

    `forward(images, watched)` returns the output. If `watched` has block numbers, it also returns the `Tokens` after
    those blocks. Block numbers run over all stages, from 0; negative numbers count from the end. Without `watched`, no
    tokens are kept.
    """

    norm: Any  # a module with a weight
    pool: nn.Module
    head: nn.Linear

    def embed(self, images: Tensor) -> Tensor:
        """Map images [batch, channels, height, width] to tokens without position embedding."""
        raise NotImplementedError

    def encode(self, x: Tensor, after: list[Tensor] | None = None, last: int | None = None) -> Tensor:
        """Add the position embedding and run the blocks.

        Args:
            x: the output of `embed`.
            after: a list to which the tokens after each block are appended.
            last: the number of the block after which to stop; None runs all blocks and whatever follows them.
        """
        raise NotImplementedError

    def run(self, block: nn.Module, *inputs: Any) -> Tensor:
        """Run one block. The timm interface overrides this for gradient checkpointing."""
        x: Tensor = block(*inputs)
        return x

    def classify(self, x: Tensor) -> Any:
        """Map normalised tokens [batch, tokens, width] to logits [batch, classes]."""
        return self.head(self.head_input(self.pool(x)))


class VisionTransformer(Transformer):
    """A ViT: a tokenizer, a position embedding, blocks of one width, and a head on the pooled tokens.

    Attributes:
        late: the number of blocks that run on patch tokens only. After them, the prefix tokens (such as the class
            token) are prepended, together with their rows of the position embedding.
        spares: whether the norms of the last block and before the head need no other tokens than the head reads.
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
        ((grid, normalised),) = normalised_blocks(size, image_size, norm)
        self.late = max(0, size.depth - PLAIN_BLOCKS) if norm.grid or architecture.family.late_prefix else 0
        self.position = PositionEmbedding(
            position,
            join,
            grid=size.token_grid(image_size),
            prefix=prefix,
            width=width,
            depth=size.depth,
            heads=size.num_heads,
            eps=size.norm_eps,
            late=self.late,
        )
        self.spares = norm.where == "inner" or norm.one_token
        make = norm_maker(norm, width, heads=size.num_heads, grid=grid)
        self.blocks = nn.ModuleList(
            self.block_type(
                size, width=width, heads=size.num_heads, drop_path=rate, norm=make if block < normalised else None
            )
            for block, rate in enumerate(drop_path_rates(size.drop_path, size.depth))
        )
        self.norm = make() if make and norm.where == "all" else nn.LayerNorm(width, eps=size.norm_eps)
        self.pool = ClassTokenPool() if prefix else SequencePool(width)
        self.head = nn.Linear(width, num_classes)

    def forward(self, images: Tensor, watched: Sequence[int] = ()) -> Any:
        """Map [batch, channels, height, width] to logits [batch, classes]; with `watched`, also to `Tokens`."""
        if not watched:  # no variable holds the embedded tokens, so their memory is freed early
            return self.classify(self.norm(self.encode(self.embed(images))))
        after: list[Tensor] = []
        embedded = self.embed(images)
        x = self.norm(self.encode(embedded, after))
        output = self.classify(x)
        patches = embedded if self.late else embedded[:, self.position.prefix :]
        seen = tuple(self.patches_after(block, after[block]) for block in watched)
        return output, Tokens(patches, seen, self.normalised(x, after))

    def patches_after(self, block: int, x: Tensor) -> Tensor:
        """The patch tokens among the tokens x after a block. A negative block number counts from the end."""
        return x if block % len(self.blocks) < self.late else x[:, self.position.prefix :]

    def normalised(self, x: Tensor, after: Sequence[Tensor]) -> Tensor:
        """The patch tokens after the final norm, [batch, patches, width].

        Args:
            x: the output of the final norm.
            after: the tokens after each block, not normalised.
        """
        return x[:, self.position.prefix :]

    def embed(self, images: Tensor) -> Tensor:
        """Map images to tokens without position embedding: [batch, prefix + patches, width].

        If the prefix tokens are added later (`late`), the result has only the patches.
        """
        # The residual stream has the parameters' dtype, also under autocast. Otherwise it would be float32 with a
        # position embedding in the stem and half precision without one, and comparing joins would compare precisions.
        parameters: Any = self.blocks[0].attention
        x: Tensor = self.tokenizer(images).to(parameters.proj.weight.dtype)
        return x if self.late else self._with_prefix(x, None)

    def _with_prefix(self, x: Tensor, stem: Tensor | None) -> Tensor:
        """Prepend the prefix tokens, plus the position term `stem` of their rows if there is one."""
        prefix = self.prefix()
        return x if prefix is None else torch.cat([plus(prefix, stem).expand(x.shape[0], -1, -1), x], dim=1)

    def prefix(self) -> Tensor | None:
        """The tokens that precede the patches, [1, prefix, width], or None."""
        return self.class_token

    def encode(self, x: Tensor, after: list[Tensor] | None = None, last: int | None = None) -> Tensor:
        """Run the blocks as `Transformer.encode` says. Returns [batch, prefix + patches, width].

        Late prefix tokens are prepended after the first `late` blocks.
        """
        joined = self.position()
        stem, prefix = joined.stem, self.position.prefix
        x = plus(x, stem if stem is None or not self.late else stem[:, prefix:])
        for number, (block, at) in enumerate(zip(self.blocks, joined.blocks, strict=True)):
            if self.late and number == self.late:
                x = self._with_prefix(x, None if stem is None else stem[:, :prefix])
            wanted = self._wanted() if after is None and number + 1 == len(self.blocks) else None
            x = self.run(block, x, at.of_patches(prefix) if number < self.late else at, wanted)
            if after is not None:
                after.append(x)
            if number == last:
                break
        return x

    def _wanted(self) -> int | None:
        """How many of the first tokens the last block has to compute for the head; None if all."""
        spares = self.spares and spares_tokens() and isinstance(self.pool, ClassTokenPool)
        return self.position.prefix if spares else None

"""A pre-norm transformer on padded sequences of tokens, as in Long Range Arena (arXiv 2011.04006)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import pad, relu

from suite.errors import InputError
from suite.models.families.transformer import VisionTransformer
from suite.models.initialise import Rules
from suite.models.layers.blocks import plus
from suite.models.layers.dropout import dropout
from suite.models.layers.padded import PADDING, PaddedBlock, TokenEmbedding
from suite.models.normalisers.sequence import SequenceTokenNorm
from suite.models.norms import Norm
from suite.models.sequence_size import SEQUENCE_DTN, SequenceSize


class SequenceTransformer(VisionTransformer):
    """A class token and the tokens of a sequence. The output doesn't depend on what comes after the sequence's end.

    A sequence is an image of one row and one channel, whose pixels are symbols; symbol 0 is padding.
    """

    rules = Rules(position_std=0.02, class_token_std=0.0, convolution="default")
    tokenizer_type = TokenEmbedding
    block_type = PaddedBlock

    def __init__(self, architecture: Any, position: Any, join: Any, norm: Norm, **shape: int) -> None:
        if shape["in_chans"] != 1:
            raise InputError(
                f"arch {architecture.name} is of sequences of tokens",
                expected="1 channel, and an image size of as many pixels as a sequence has tokens",
                found=f"{shape['in_chans']} channels",
                fix="choose 1 channel (--channels 1), or an arch of images",
            )
        if norm.name == SEQUENCE_DTN:
            norm = replace(norm, tokens=f"{SequenceTokenNorm.__module__}:{SequenceTokenNorm.__name__}")
        super().__init__(architecture, position, join, norm, **shape)
        size = architecture.size
        assert isinstance(size, SequenceSize)
        self.drop = size.drop
        self.hidden = nn.Linear(size.embed_dim, size.head_dim) if size.head_dim else None
        if self.hidden is not None:
            self.head = nn.Linear(size.head_dim, shape["num_classes"])

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of what it gets."""
        return 1, 1, self.image_size

    def forward(self, images: Tensor, watched: Sequence[int] = ()) -> Any:
        """Map sequences, float [batch, 1, 1, tokens], to logits [batch, classes]. watched: it shows no tokens."""
        tokenizer: Any = self.tokenizer
        padding = tokenizer.symbols(images) == PADDING
        return self.classify(self.norm(self.encode(self.embed(images), padding=padding)))

    def encode(
        self, x: Tensor, after: list[Tensor] | None = None, last: int | None = None, padding: Tensor | None = None
    ) -> Tensor:
        """Run the blocks as `Transformer.encode` says. padding: which tokens are padding, bool [batch, tokens]."""
        joined = self.position()
        stem, prefix = joined.stem, self.position.prefix
        x = self._dropped(plus(x, stem if stem is None or not self.late else stem[:, prefix:]))
        hidden = padding
        for number, (block, at) in enumerate(zip(self.blocks, joined.blocks, strict=True)):
            if self.late and number == self.late:
                x = self._with_prefix(x, None if stem is None else stem[:, :prefix])
            if padding is not None and number == self.late:
                hidden = pad(padding, (prefix, 0))  # prefix tokens aren't padding
            wanted = self._wanted() if after is None and number + 1 == len(self.blocks) else None
            x = self.run(block, x, at.of_patches(prefix) if number < self.late else at, wanted, hidden)
            if after is not None:
                after.append(x)
            if number == last:
                break
        return x

    def head_input(self, pooled: Tensor) -> Tensor:
        """What the class head gets: [batch, width] to [batch, width or head_dim]."""
        return super().head_input(pooled) if self.hidden is None else relu(self.hidden(pooled))

    def _dropped(self, x: Tensor) -> Tensor:
        return dropout(x, self.drop) if self.training else x

"""Layers for padded sequences of tokens: an embedding, and a block whose attention doesn't see the padding."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn import init
from torch.nn.functional import embedding

from suite.models.embedding import BlockTerms
from suite.models.layers.blocks import Block, plus
from suite.models.layers.dropout import dropout
from suite.models.layers.sparing import first
from suite.models.normalisers.sequence import SequenceTokenNorm
from suite.models.sequence_size import SequenceSize

PADDING = 0  # the symbol that fills a sequence


class TokenEmbedding(nn.Module):
    """A learned vector for each symbol, drawn from the standard normal distribution as in Long Range Arena."""

    def __init__(self, size: SequenceSize, in_chans: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(size.vocabulary, size.embed_dim))

    @torch.no_grad()
    def start(self, name: str, drawn: Tensor, generator: Generator) -> None:
        """Initialise the vectors.

        Args:
            name: the parameter's name in this module.
            drawn: the tensor to fill.
            generator: the source of random numbers.
        """
        init.normal_(drawn, generator=generator)

    def symbols(self, sequences: Tensor) -> Tensor:
        """The symbols of sequences given as images of one row: float [batch, 1, 1, tokens] to int64 [batch, tokens]."""
        return sequences.flatten(1).round().long()

    def forward(self, sequences: Tensor) -> Tensor:
        """Map [batch, 1, 1, tokens] to [batch, tokens, width]."""
        return embedding(self.symbols(sequences), self.weight)


class PaddedBlock(Block):
    """A pre-norm block on padded sequences, with dropout as in Long Range Arena."""

    def __init__(
        self,
        size: SequenceSize,
        *,
        width: int,
        heads: int,
        drop_path: float,
        norm: Callable[[], nn.Module] | None = None,
    ) -> None:
        super().__init__(size, width=width, heads=heads, drop_path=drop_path, norm=norm)
        self.drop = size.drop

    def forward(self, x: Tensor, at: BlockTerms, wanted: int | None = None, padding: Tensor | None = None) -> Tensor:
        """Map [batch, tokens, width] to the same shape, or to its first `wanted` tokens.

        Args:
            x: the residual stream.
            at: the position terms of this block.
            wanted: how many of the first tokens to compute; None computes all.
            padding: which tokens are padding, bool [batch, tokens].
        """
        x = plus(x, at.stream)
        seen = plus(_normalised(self.norm1, plus(x, at.inside), padding), at.branch)
        if padding is not None:
            hides: Any = partial(_hidden, padding)  # acts as a position's module would
            at = at._replace(contextual=hides)
        attended = self.attention(seen, at) if wanted is None else self.attention.of_first(seen, at, wanted)
        x = first(x, wanted) + self._dropped(attended)
        mlp: Any = self.mlp
        hidden = mlp.gelu(mlp.fc1(_normalised(self.norm2, x, padding)))
        return x + self._dropped(mlp.fc2(self._dropped(hidden)))

    def _dropped(self, x: Tensor) -> Tensor:
        return dropout(x, self.drop) if self.training else x


def _normalised(norm: nn.Module, x: Tensor, padding: Tensor | None) -> Tensor:
    y: Tensor = norm(x, padding) if isinstance(norm, SequenceTokenNorm) else norm(x)
    return y


def _hidden(padding: Tensor, q: Tensor) -> Tensor:
    """A bias of attention that hides the padding among the keys, [batch, heads, queries, keys].

    Args:
        padding: which keys are padding, bool [batch, keys].
        q: the queries, [batch, heads, queries, head width].
    """
    lowest = torch.finfo(q.dtype).min / 2  # half of the smallest number: with a product added, it is still finite
    bias = torch.zeros_like(padding, dtype=q.dtype).masked_fill(padding, lowest)[:, None, None]
    return bias.expand(-1, *q.shape[1:3], -1)

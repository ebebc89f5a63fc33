"""Layers for padded sequences of tokens: embedding, attention that doesn't see the padding, and a block of both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn import init
from torch.nn.functional import embedding, linear

from suite.models.embedding import BlockTerms
from suite.models.layers.blocks import NOWHERE, Attention, Block, plus
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


class PaddedAttention(Attention):
    """Attention whose keys are the tokens that aren't padding."""

    def forward(
        self, x: Tensor, at: BlockTerms = NOWHERE, padding: Tensor | None = None, queries: int | None = None
    ) -> Tensor:
        """Map [batch, tokens, width] to the same shape, or to its first `queries` tokens.

        Args:
            x: the tokens. Only the first `queries` are queries; all are keys and values.
            at: what the position does in this block: nothing here, because sequences have no such positions.
            padding: which tokens are padding, bool [batch, tokens]; None: none of them.
            queries: how many first tokens to compute; None: all.
        """
        if queries is None:
            q, k, v = self.project(x)
        else:
            q, k, v = self._projected_first(x, queries)
        bias = None
        if padding is not None:
            # Half of the smallest number: with a product added, it is still finite.
            lowest = torch.finfo(q.dtype).min / 2
            bias = torch.zeros_like(padding, dtype=q.dtype).masked_fill(padding, lowest)[:, None, None]
            bias = bias.expand(-1, self.heads, q.shape[2], -1)
        mixed: Tensor = self.proj(self.weigh(q, k, v, bias).transpose(1, 2).flatten(2))
        return mixed

    def _projected_first(self, x: Tensor, queries: int) -> tuple[Tensor, Tensor, Tensor]:
        """The q of the first tokens, and k and v of all, [batch, heads, …, head width] each."""
        width, offsets = x.shape[2], self.qkv.bias
        parts = ((x[:, :queries], slice(width)), (x, slice(width, 2 * width)), (x, slice(2 * width, None)))
        q, k, v = (
            linear(tokens, self.qkv.weight[rows], None if offsets is None else offsets[rows])
            .unflatten(2, (self.heads, -1))
            .transpose(1, 2)
            for tokens, rows in parts
        )
        return q, k, v


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
        self.attention: PaddedAttention = PaddedAttention(
            width, heads, qkv_bias=size.qkv_bias, drop=size.attn_drop, talking=size.talking_heads
        )
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
        x = first(x, wanted) + self._dropped(self.attention(seen, at, padding, wanted))
        mlp: Any = self.mlp
        hidden = mlp.gelu(mlp.fc1(_normalised(self.norm2, x, padding)))
        return x + self._dropped(mlp.fc2(self._dropped(hidden)))

    def _dropped(self, x: Tensor) -> Tensor:
        return dropout(x, self.drop) if self.training else x


def _normalised(norm: nn.Module, x: Tensor, padding: Tensor | None) -> Tensor:
    y: Tensor = norm(x, padding) if isinstance(norm, SequenceTokenNorm) else norm(x)
    return y

"""The parts that the architectures share. Tokens are [batch, tokens, width]."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from suite.models.embedding import BlockTerms
from suite.models.layers.dropout import add_branch, attention, drop_path, packed_attention
from suite.models.layers.sparing import first, spares
from suite.models.sizes import Size


def plus(x: Tensor, term: Tensor | None) -> Tensor:
    """The sum of x and a term, where there is a term."""
    return x if term is None else x + term


class DropPath(nn.Module):
    """Stochastic depth: in training, a sample's branch is zero at probability `rate`, else scaled by 1 / (1 - rate)."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, stream: Tensor, branch: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """The stream and the branch of x: [batch, tokens, width], and returned."""
        if not self.training or self.rate == 0:
            return stream + branch(x)
        if spares():
            return add_branch(stream, branch, x, self.rate)
        return stream + drop_path(branch(x), self.rate)

    def extra_repr(self) -> str:
        """For `print(model)`."""
        return f"rate={self.rate:.4g}"


class TalkingHeads(nn.Module):
    """The matrices that mix attention's products, and its weights, over heads: without bias (arXiv 2003.02436).

    They start as any linear layer does, as in DiversePatch's release.
    """

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.before = nn.Linear(heads, heads, bias=False)
        self.after = nn.Linear(heads, heads, bias=False)


class Attention(nn.Module):
    """Multi-head self-attention: one projection to q, k and v (in this order), scale 1/√(width of a head).

    talking: heads are mixed, the scaled products before a bias is added to them.
    """

    def __init__(self, width: int, heads: int, *, qkv_bias: bool, drop: float, talking: bool = False) -> None:
        super().__init__()
        self.heads = heads
        self.drop = drop
        self.qkv = nn.Linear(width, 3 * width, bias=qkv_bias)
        self.proj = nn.Linear(width, width)
        self.talking = TalkingHeads(heads) if talking else None

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """[batch, tokens, width] to the same; bias: [heads, tokens, tokens], added to the scaled products."""
        if self.talking is None and spares() and torch.is_grad_enabled() and x.device.type == "cpu":
            mixed: Tensor = self.proj(packed_attention(self.qkv(x), self.heads, bias, self._rate))
            return mixed
        q, k, v = self.project(x)
        return self.attend(q, k, v, bias)

    @property
    def _rate(self) -> float:
        return self.drop if self.training else 0.0

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """q, k and v: [batch, heads, tokens, width of a head] each."""
        q, k, v = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind()
        return q, k, v

    def of_first(self, x: Tensor, bias: Tensor | None, queries: int) -> Tensor:
        """So many first tokens of `forward`: only they ask, and all are looked at. [batch, queries, width]."""
        width, offsets = x.shape[2], self.qkv.bias
        parts = ((x[:, :queries], slice(width)), (x, slice(width, 2 * width)), (x, slice(2 * width, None)))
        q, k, v = (
            linear(tokens, self.qkv.weight[rows], None if offsets is None else offsets[rows])
            .unflatten(2, (self.heads, -1))
            .transpose(1, 2)
            for tokens, rows in parts
        )
        return self.attend(q, k, v, None if bias is None else bias[:, :queries])

    def attend(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> Tensor:
        """The fused kernel and the output projection: [batch, queries, width]."""
        bias = None if bias is None else bias.to(q.dtype).expand(q.shape[0], -1, -1, -1)
        x = self.weigh(q, k, v, bias)
        mixed: Tensor = self.proj(x.transpose(1, 2).flatten(2))
        return mixed

    def weigh(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> Tensor:
        """What each query sees of v: [batch, heads, queries, width of a head]. bias: [batch, heads, queries, keys]."""
        rate, talking = self._rate, self.talking
        if talking is None:
            return attention(q, k, v, bias, rate)
        mixers = (partial(self.over_heads, talking.before), partial(self.over_heads, talking.after))
        return attention(q, k, v, bias, rate, mixers)

    def over_heads(self, matrix: nn.Linear, scores: Tensor) -> Tensor:
        """Mix the heads: […, heads, queries, keys] to the same."""
        mixed: Tensor = matrix(scores.movedim(-3, -1)).movedim(-1, -3)
        return mixed


class MLP(nn.Sequential):
    """Linear, exact GELU, Linear."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.gelu = nn.GELU()
        self.fc2 = nn.Linear(hidden, width)


class Block(nn.Module):
    """What a transformer block is made of; a family's own `forward` says in which order.

    `forward(x, at, wanted)` takes [batch, tokens, width] to the same; `at` is what the position adds to this block.
    With `wanted`, only so many first tokens are made, since nothing asks for the others.

    norm: makes one of its two norms; LayerNorm without it.
    """

    def __init__(
        self, size: Size, *, width: int, heads: int, drop_path: float, norm: Callable[[], nn.Module] | None = None
    ) -> None:
        super().__init__()
        norm = norm or partial(nn.LayerNorm, width, eps=size.norm_eps)
        self.norm1 = norm()
        self.attention = Attention(
            width, heads, qkv_bias=size.qkv_bias, drop=size.attn_drop, talking=size.talking_heads
        )
        self.norm2 = norm()
        self.mlp: nn.Module = MLP(width, int(width * size.mlp_ratio))
        self.drop_path = DropPath(drop_path)

    def attend(self, x: Tensor, at: BlockTerms, wanted: int | None = None) -> Tensor:
        """The sum of x and the attention branch, or so many first tokens of it."""

        def branch(x: Tensor) -> Tensor:
            seen = self.seen(x, at)
            attended: Tensor = (
                self.attention(seen, at.bias) if wanted is None else self.attention.of_first(seen, at.bias, wanted)
            )
            return attended

        attended: Tensor = self.drop_path(first(x, wanted), branch, x)
        return attended

    def seen(self, x: Tensor, at: BlockTerms) -> Tensor:
        """What attention sees of [batch, tokens, width]."""
        return plus(self.norm1(plus(x, at.inside)), at.branch)


class PreNormBlock(Block):
    """Both branches see a normalised copy; the residual stream itself is never normalised."""

    def forward(self, x: Tensor, at: BlockTerms, wanted: int | None = None) -> Tensor:
        """[batch, tokens, width] to the same, or to its first tokens."""
        x = plus(x, at.stream)
        x = self.attend(x, at, wanted)
        added: Tensor = self.drop_path(x, lambda x: self.mlp(self.norm2(x)), x)
        return added


def drop_path_rates(rate: float, depth: int) -> list[float]:
    """Stochastic depth grows from block to block, from none in the first to `rate` in the last."""
    return [rate * block / max(1, depth - 1) for block in range(depth)]


class ClassTokenPool(nn.Module):
    """The first token stands for the image."""

    def forward(self, x: Tensor) -> Tensor:
        """[batch, tokens, width] to [batch, width]."""
        return x[:, 0]


class SequencePool(nn.Module):
    """The mean of the tokens, weighted by a softmax over learned scores."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.score = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[batch, tokens, width] to [batch, width]."""
        weights: Tensor = self.score(x).softmax(dim=1)
        return (weights.transpose(1, 2) @ x).squeeze(1)


class MeanPool(nn.Module):
    """The mean of the tokens."""

    def forward(self, x: Tensor) -> Tensor:
        """[batch, tokens, width] to [batch, width]."""
        return x.mean(dim=1)

"""Building blocks that the architectures share. Tokens are [batch, tokens, width]."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from suite.models.embedding import BlockTerms
from suite.models.layers.dropout import add_branch, attention, drop_path, for_many_models, packed_attention
from suite.models.layers.rotation import TurnedProjection, turned
from suite.models.layers.sparing import first, spares
from suite.models.sizes import Size

NOWHERE = BlockTerms()  # of a block in which no position acts


def plus(x: Tensor, term: Tensor | None) -> Tensor:
    """The sum x + term, or x if the term is None."""
    return x if term is None else x + term


class DropPath(nn.Module):
    """Stochastic depth. In training, a sample's branch is dropped with probability `rate`, else scaled by 1/(1-rate).

    Within `suite.models.layers.sparing.sparing`, dropped samples are not computed.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, stream: Tensor, branch: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """The sum stream + branch(x), with the branch dropped at random in training.

        Args:
            stream: the residual stream, [batch, tokens, width].
            branch: the function to apply to x.
            x: the branch's input, [batch, …].
        """
        if not self.training or self.rate == 0:
            return stream + branch(x)
        if spares():
            return add_branch(stream, branch, x, self.rate)
        return stream + drop_path(branch(x), self.rate)

    def extra_repr(self) -> str:
        """The rate, for `print(model)`."""
        return f"rate={self.rate:.4g}"


class TalkingHeads(nn.Module):
    """Talking-heads attention (arXiv 2003.02436): linear layers without bias that mix the heads.

    `before` mixes the scaled products, `after` mixes the softmax weights. Both are initialised as any other linear
    layer, as in DiversePatch's released code.
    """

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.before = nn.Linear(heads, heads, bias=False)
        self.after = nn.Linear(heads, heads, bias=False)


class Attention(nn.Module):
    """Multi-head self-attention with one projection to q, k and v (in this order) and scale 1/√(head width).

    Of a position's `BlockTerms`, it applies `turn`, `bias` and `contextual`.

    Args:
        width: the tokens' channels.
        heads: the number of heads.
        qkv_bias: whether the projection to q, k and v has a bias.
        drop: the dropout rate of the attention weights.
        talking: whether heads are mixed (`TalkingHeads`); the products are mixed before a bias is added.
    """

    def __init__(self, width: int, heads: int, *, qkv_bias: bool, drop: float, talking: bool = False) -> None:
        super().__init__()
        self.heads = heads
        self.drop = drop
        self.qkv = nn.Linear(width, 3 * width, bias=qkv_bias)
        self.proj = nn.Linear(width, width)
        self.talking = TalkingHeads(heads) if talking else None

    def forward(self, x: Tensor, at: BlockTerms = NOWHERE) -> Tensor:
        """Map [batch, tokens, width] to the same shape. at: what the position does in this block."""
        packs = self.talking is None and at.contextual is None
        if packs and spares() and torch.is_grad_enabled() and x.device.type == "cpu":
            mixed: Tensor = self.proj(packed_attention(self.qkv(x), self.heads, at.bias, self._rate, at.turn))
            return mixed
        q, k, v = self.project(x) if at.turn is None else self.turn(x, at.turn)
        return self.attend(q, k, v, at)

    @property
    def _rate(self) -> float:
        return self.drop if self.training else 0.0

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """q, k and v, [batch, heads, tokens, head width] each."""
        q, k, v = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind()
        return q, k, v

    def turn(self, x: Tensor, turn: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As `project`, with q and k turned; see `suite.models.layers.rotation.turned`."""
        if self.training and turn.device.type == "cpu" and not (torch.compiler.is_compiling() or for_many_models()):
            parts: tuple[Tensor, Tensor, Tensor] = TurnedProjection.apply(self.qkv(x), turn)
            return parts
        q, k, v = self.project(x)
        return turned(q, turn), turned(k, turn), v

    def of_first(self, x: Tensor, at: BlockTerms, queries: int) -> Tensor:
        """The first tokens of `forward`'s output, [batch, queries, width].

        Args:
            x: all tokens, [batch, tokens, width]. Only the first are queries; all are keys and values.
            at: as in `forward`.
            queries: how many first tokens to compute.
        """
        width, offsets = x.shape[2], self.qkv.bias
        parts = ((x[:, :queries], slice(width)), (x, slice(width, 2 * width)), (x, slice(2 * width, None)))
        q, k, v = (
            linear(tokens, self.qkv.weight[rows], None if offsets is None else offsets[rows])
            .unflatten(2, (self.heads, -1))
            .transpose(1, 2)
            for tokens, rows in parts
        )
        if at.turn is not None:
            q, k = turned(q, at.turn[:, :queries]), turned(k, at.turn)
        return self.attend(q, k, v, at if at.bias is None else at._replace(bias=at.bias[:, :queries]))

    def attend(self, q: Tensor, k: Tensor, v: Tensor, at: BlockTerms) -> Tensor:
        """Attention and the output projection: [batch, queries, width].

        Args:
            q: [batch, heads, queries, head width], turned.
            k: [batch, heads, keys, head width], turned.
            v: [batch, heads, keys, head width].
            at: its `bias`, [heads, queries, keys], and `contextual` are added to the scaled products.
        """
        bias = None if at.bias is None else at.bias.to(q.dtype).expand(q.shape[0], -1, -1, -1)
        if at.contextual is not None:
            bias = plus(at.contextual(q).to(q.dtype), bias)
        x = self.weigh(q, k, v, bias)
        mixed: Tensor = self.proj(x.transpose(1, 2).flatten(2))
        return mixed

    def weigh(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> Tensor:
        """The weighted sum of v for each query, [batch, heads, queries, head width].

        Args:
            q: [batch, heads, queries, head width].
            k: [batch, heads, keys, head width].
            v: [batch, heads, keys, head width].
            bias: [batch, heads, queries, keys], or None.
        """
        rate, talking = self._rate, self.talking
        if talking is None:
            return attention(q, k, v, bias, rate)
        mixers = (partial(self.over_heads, talking.before), partial(self.over_heads, talking.after))
        return attention(q, k, v, bias, rate, mixers)

    def over_heads(self, matrix: nn.Linear, scores: Tensor) -> Tensor:
        """Apply a linear layer over the head axis: […, heads, queries, keys] to the same shape."""
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
    """The layers of a transformer block. Each family's `forward` defines their order.

    `forward(x, at, wanted)` maps [batch, tokens, width] to the same shape. `at` holds the position terms of this
    block. With `wanted`, only that many first tokens are computed, because no later layer reads the others.

    Args:
        size: the sizes of the architecture.
        width: the tokens' channels.
        heads: the number of attention heads.
        drop_path: the rate of stochastic depth.
        norm: a factory that makes each of the two norms; None for LayerNorm.
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
        """The sum of x and the attention branch, with stochastic depth.

        Args:
            x: the residual stream, [batch, tokens, width].
            at: the position terms of this block.
            wanted: how many of the first tokens to compute; None computes all.
        """

        def branch(x: Tensor) -> Tensor:
            seen = self.seen(x, at)
            attended: Tensor = self.attention(seen, at) if wanted is None else self.attention.of_first(seen, at, wanted)
            return attended

        attended: Tensor = self.drop_path(first(x, wanted), branch, x)
        return attended

    def seen(self, x: Tensor, at: BlockTerms) -> Tensor:
        """The input of attention: the normalised tokens, with the position terms added before and after the norm."""
        return plus(self.norm1(plus(x, at.inside)), at.branch)


class PreNormBlock(Block):
    """A pre-norm block: each branch normalises its own input, and the residual stream is never normalised."""

    def forward(self, x: Tensor, at: BlockTerms, wanted: int | None = None) -> Tensor:
        """Map [batch, tokens, width] to the same shape, or to its first `wanted` tokens.

        Args:
            x: the residual stream.
            at: the position terms of this block.
            wanted: how many of the first tokens to compute; None computes all.
        """
        x = plus(x, at.stream)
        x = self.attend(x, at, wanted)
        added: Tensor = self.drop_path(x, lambda x: self.mlp(self.norm2(x)), x)
        return at.finished(added) if wanted is None else added


def drop_path_rates(rate: float, depth: int) -> list[float]:
    """The stochastic-depth rate of each block: linear from 0 in the first block to `rate` in the last."""
    return [rate * block / max(1, depth - 1) for block in range(depth)]


class ClassTokenPool(nn.Module):
    """Pooling that takes the first token, the class token."""

    def forward(self, x: Tensor) -> Tensor:
        """Map [batch, tokens, width] to [batch, width]."""
        return x[:, 0]


class SequencePool(nn.Module):
    """Sequence pooling: the mean of the tokens, weighted by a softmax over learned scores."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.score = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map [batch, tokens, width] to [batch, width]."""
        weights: Tensor = self.score(x).softmax(dim=1)
        return (weights.transpose(1, 2) @ x).squeeze(1)


class MeanPool(nn.Module):
    """Pooling by the unweighted mean of the tokens."""

    def forward(self, x: Tensor) -> Tensor:
        """Map [batch, tokens, width] to [batch, width]."""
        return x.mean(dim=1)

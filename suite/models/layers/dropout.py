"""Dropout and stochastic depth whose masks can come from generators that the caller chooses.

The training loop uses one generator per micro-batch, or one per model if it trains several models at once. On a CPU,
results are bit-identical to torch's own functions, except within `suite.models.layers.sparing.sparing`.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from suite.models.layers.attention import PackedAttention
from suite.models.layers.sparing import spares

Mixer = Callable[[Tensor], Tensor]  # mixes heads: [batch, heads, queries, keys] to the same shape


class _Source(threading.local):
    generators: Sequence[torch.Generator] = ()


_source = _Source()
# Whether several models run under vmap. A process runs one such stack at a time, so this needs no thread-local
# storage, which compiled code could not read.
_stack_runs = False


@contextmanager
def masks_from(generators: Sequence[torch.Generator]) -> Iterator[None]:
    """Draw this thread's masks from the given generators instead of torch's default generator.

    The generators must be on the model's device. More than one generator means that the forward pass is a
    `torch.vmap` over that many models, each with its own generator.
    """
    global _stack_runs
    before = _source.generators, _stack_runs
    _source.generators, _stack_runs = generators, len(generators) > 1
    try:
        yield
    finally:
        _source.generators, _stack_runs = before


def for_many_models() -> bool:
    """Whether the forward pass is a `torch.vmap` over several models; see `masks_from`."""
    return _stack_runs


def dropout(x: Tensor, rate: float) -> Tensor:
    """Set each element to zero with probability `rate`, else to x / (1 - rate)."""
    if rate == 0:
        return x
    named = for_many_models() or (not torch.compiler.is_compiling() and _source.generators)
    return x * _mask(x, x.shape, rate) if named else functional.dropout(x, rate)


def drop_path(x: Tensor, rate: float) -> Tensor:
    """Like `dropout`, but drop whole samples of [batch, …]."""
    return x if rate == 0 else x * _mask(x, (x.shape[0], *[1] * (x.ndim - 1)), rate)


def add_branch(stream: Tensor, branch: Callable[[Tensor], Tensor], x: Tensor, rate: float) -> Tensor:
    """The sum stream + drop_path(branch(x), rate), where only the kept samples go through the branch.

    Args:
        stream: the residual stream, [batch, …].
        branch: the function to apply to the kept samples of x.
        x: the branch's input, [batch, …].
        rate: the probability of dropping a sample.
    """
    scale = 1 / (1 - rate)
    kept = _mask(x, (len(x),), rate).nonzero().flatten()
    if len(kept) == len(x):
        return torch.add(stream, branch(x), alpha=scale)
    return stream.index_add(0, kept, branch(x[kept]).to(stream.dtype), alpha=scale)


def attention(
    q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, rate: float, mixers: tuple[Mixer, Mixer] | None = None
) -> Tensor:
    """softmax(q kᵀ / √width + bias) v, with dropout on the attention weights.

    A fused kernel is used where possible. On a CPU there is none with dropout, and none for several models under vmap.
    In these cases the products are computed here, without torch's extra check for rows that have no key.

    A fused kernel can only draw from torch's default generator. On a GPU, several models under vmap therefore share
    that generator. If deterministic algorithms are required, each model draws from its own generator and no fused
    kernel is used.

    Args:
        q: [batch, heads, queries, width].
        k: [batch, heads, keys, width].
        v: [batch, heads, keys, width].
        bias: added to the scaled products, [batch, heads, queries, keys], or None.
        rate: the dropout rate of the attention weights.
        mixers: functions that mix heads: the first for the scaled products, before the bias is added; the second for
            the softmax weights. No fused kernel supports them.
    """
    if mixers is not None:
        weights = mixers[0]((q * (1 / math.sqrt(q.shape[-1]))) @ k.transpose(-2, -1))
        weights = mixers[1]((weights if bias is None else weights + bias).softmax(dim=-1))
        return dropout(weights, rate) @ v
    if _fuses(q, bias, rate):
        return functional.scaled_dot_product_attention(q, k, v, attn_mask=bias, dropout_p=rate)
    root = math.sqrt(1 / math.sqrt(q.shape[-1]))  # q and k are scaled separately, as in torch's fallback
    scores = (q * root) @ (k.transpose(-2, -1) * root)
    weights = (scores if bias is None else scores + bias).softmax(dim=-1)
    if rate == 0:
        return weights @ v
    return weights * (_quick_mask(weights.shape, rate) if spares() else _mask(weights, weights.shape, rate)) @ v


def _fuses(q: Tensor, bias: Tensor | None, rate: float) -> bool:
    if for_many_models():
        half = q.is_cuda and q.dtype in (torch.float16, torch.bfloat16)
        return half and bias is None and (rate == 0 or not torch.are_deterministic_algorithms_enabled())
    return torch.compiler.is_compiling() or rate == 0 or (q.is_cuda and not _source.generators)


def packed_attention(
    packed: Tensor, heads: int, bias: Tensor | None, rate: float, turn: Tensor | None = None
) -> Tensor:
    """`attention` with fewer copies and less saved memory (`PackedAttention`); not for several models under vmap.

    Args:
        packed: q, k and v along the last axis, [batch, tokens, 3 × heads × width].
        heads: the number of heads.
        bias: [heads, tokens, tokens], or None.
        rate: the dropout rate of the attention weights.
        turn: the angles of `PackedAttention`, or None.
    """
    batch, tokens, _ = packed.shape
    mask = None if rate == 0 else _quick_mask((heads, batch, tokens, tokens), rate).to(packed.dtype)
    mixed: Tensor = PackedAttention.apply(packed, heads, bias, mask, turn)[0]
    return mixed


def _quick_mask(shape: Sequence[int], rate: float) -> Tensor:
    """A float32 dropout mask on the CPU, from 16 random bits per element.

    A NumPy generator draws the bits, because torch's own mask would take a third of the attention's time. The rate is
    off by at most 2⁻¹⁷. The caller's generator only draws the seed, one number for any shape. So later draws don't
    depend on which tokens were computed.
    """
    seed = torch.randint(2**62, (1,), generator=_source.generators[0] if _source.generators else None)
    random = np.random.Generator(np.random.SFC64(int(seed)))
    bits = np.frombuffer(random.bytes(2 * math.prod(shape)), np.uint16)
    kept = bits >= round(rate * 2**16)
    return torch.from_numpy(kept).to(torch.float32).div_(1 - rate).view(*shape)


def _mask(like: Tensor, shape: Sequence[int], rate: float) -> Tensor:
    if for_many_models():
        stacked: Tensor = _stacked_mask(like.detach(), list(shape), rate)
        return stacked
    return _draw(like, shape, rate, _source.generators[0] if _source.generators else None)


def _draw(like: Tensor, shape: Sequence[int], rate: float, generator: torch.Generator | None) -> Tensor:
    keep = 1 - rate
    return like.new_empty(shape).bernoulli_(keep, generator=generator).div_(keep)


# Two custom operators. Under vmap, the first is replaced by the second, so the compiler only sees the second. The
# compiler must not trace into them, because it would not draw from the models' own generators.
@torch.library.custom_op("lape::stacked_mask", mutates_args=())
def _stacked_mask(like: Tensor, shape: list[int], rate: float) -> Tensor:
    raise NotImplementedError("several generators, but no vmap")


@_stacked_mask.register_vmap
def _each_its_own(info: object, in_dims: object, like: Tensor, shape: list[int], rate: float) -> tuple[Tensor, int]:
    return _masks(like, shape, rate), 0


@torch.library.custom_op("lape::masks", mutates_args=(), tags=(torch.Tag.nondeterministic_seeded,))
def _masks(like: Tensor, shape: list[int], rate: float) -> Tensor:
    masks = like.new_empty((len(_source.generators), *shape))
    for mask, generator in zip(masks, _source.generators, strict=True):
        mask.bernoulli_(1 - rate, generator=generator)
    return masks.div_(1 - rate)


@_masks.register_fake
def _masks_shape(like: Tensor, shape: list[int], rate: float) -> Tensor:
    return like.new_empty((len(_source.generators), *shape))

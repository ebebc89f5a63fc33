"""Dropout, with masks from a generator that whoever trains may name: of a share of a batch, or of one of many models.

On a CPU all of it draws and rounds as torch's own functions do, to the bit, but within `suite.models.sparing`.
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

from suite.models.attention import PackedAttention
from suite.models.sparing import spares

Mixer = Callable[[Tensor], Tensor]  # of attention's scores over heads: [batch, heads, queries, keys] to the same


class _Source(threading.local):
    generators: Sequence[torch.Generator] = ()


_source = _Source()


@contextmanager
def masks_from(generators: Sequence[torch.Generator]) -> Iterator[None]:
    """Let this thread's masks come from a generator on the model's device, not from torch's own.

    With more than one, the forward pass is a `torch.vmap` with `randomness="same"` over so many models, and each has
    its own.
    """
    _source.generators, before = generators, _source.generators
    try:
        yield
    finally:
        _source.generators = before


def for_many_models() -> bool:
    """Whether this thread's forward pass is one of many models at once, as in `masks_from`."""
    return len(_source.generators) > 1


def dropout(x: Tensor, rate: float) -> Tensor:
    """Zero at probability `rate`, else x / (1 - rate)."""
    if rate == 0:
        return x
    return x * _mask(x, x.shape, rate) if _source.generators else functional.dropout(x, rate)


def drop_path(x: Tensor, rate: float) -> Tensor:
    """The same for whole samples: [batch, …]."""
    return x if rate == 0 else x * _mask(x, (len(x), *[1] * (x.ndim - 1)), rate)


def add_branch(stream: Tensor, branch: Callable[[Tensor], Tensor], x: Tensor, rate: float) -> Tensor:
    """The sum of stream and drop_path(branch(x), rate), with only the kept samples through the branch."""
    scale = 1 / (1 - rate)
    kept = _mask(x, (len(x),), rate).nonzero().flatten()
    if len(kept) == len(x):
        return torch.add(stream, branch(x), alpha=scale)
    return stream.index_add(0, kept, branch(x[kept]).to(stream.dtype), alpha=scale)


def attention(
    q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, rate: float, mixers: tuple[Mixer, Mixer] | None = None
) -> Tensor:
    """softmax(q kᵀ / √width + bias) v, its weights dropped out at `rate`: [batch, heads, tokens, width] each.

    A fused kernel where there is one: not for many models at once, and on a CPU not with dropout. What torch falls
    back to there would also look for rows without any key, which this leaves out. mixers: of the scaled products,
    before the bias is added, and of the weights; no kernel has them.
    """
    if mixers is not None:
        weights = mixers[0]((q * (1 / math.sqrt(q.shape[-1]))) @ k.transpose(-2, -1))
        weights = mixers[1]((weights if bias is None else weights + bias).softmax(dim=-1))
        compiling = torch.compiler.is_compiling()
        return (functional.dropout(weights, rate) if compiling else dropout(weights, rate)) @ v
    named = len(_source.generators)
    if torch.compiler.is_compiling() or (named < 2 and (rate == 0 or (q.is_cuda and not named))):
        return functional.scaled_dot_product_attention(q, k, v, attn_mask=bias, dropout_p=rate)
    root = math.sqrt(1 / math.sqrt(q.shape[-1]))  # on either side, as in torch's fallback
    scores = (q * root) @ (k.transpose(-2, -1) * root)
    weights = (scores if bias is None else scores + bias).softmax(dim=-1)
    if rate == 0:
        return weights @ v
    return weights * (_quick_mask(weights.shape, rate) if spares() else _mask(weights, weights.shape, rate)) @ v


def packed_attention(packed: Tensor, heads: int, bias: Tensor | None, rate: float) -> Tensor:
    """`attention` of q, k and v side by side, with less copied and kept: see `PackedAttention`. For one model alone."""
    batch, tokens, _ = packed.shape
    mask = None if rate == 0 else _quick_mask((heads, batch, tokens, tokens), rate).to(packed.dtype)
    mixed: Tensor = PackedAttention.apply(packed, heads, bias, mask)
    return mixed


def _quick_mask(shape: Sequence[int], rate: float) -> Tensor:
    """A mask on a CPU: float32, of 16 random bits each, from a generator that the named one seeds.

    torch's own would take a third of the attention's time. The rate is off by at most 2⁻¹⁷. The named generator gives
    one number, whatever the shape: what is drawn after it doesn't depend on what was spared.
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


@torch.library.custom_op("lape::stacked_mask", mutates_args=())
def _stacked_mask(like: Tensor, shape: list[int], rate: float) -> Tensor:
    raise NotImplementedError("several generators, but no vmap")


@_stacked_mask.register_vmap
def _each_its_own(info: object, in_dims: object, like: Tensor, shape: list[int], rate: float) -> tuple[Tensor, int]:
    return torch.stack([_draw(like, shape, rate, generator) for generator in _source.generators]), 0

"""Dropout, with masks from a generator that whoever trains may name: of a share of a batch, or of one of many models.

On a CPU all of it draws and rounds as torch's own functions do, to the bit, but within `suite.models.layers.sparing`.
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

Mixer = Callable[[Tensor], Tensor]  # of attention's scores over heads: [batch, heads, queries, keys] to the same


class _Source(threading.local):
    generators: Sequence[torch.Generator] = ()


_source = _Source()
# Whether a stack of models runs, of which a process has one at a time: what is compiled can read this, not `_source`.
_stack_runs = False


@contextmanager
def masks_from(generators: Sequence[torch.Generator]) -> Iterator[None]:
    """Let this thread's masks come from a generator on the model's device, not from torch's own.

    With more than one, the forward pass is a `torch.vmap` over so many models, and each has its own.
    """
    global _stack_runs
    before = _source.generators, _stack_runs
    _source.generators, _stack_runs = generators, len(generators) > 1
    try:
        yield
    finally:
        _source.generators, _stack_runs = before


def for_many_models() -> bool:
    """Whether the forward pass is one of many models at once, as in `masks_from`."""
    return _stack_runs


def dropout(x: Tensor, rate: float) -> Tensor:
    """Zero at probability `rate`, else x / (1 - rate)."""
    if rate == 0:
        return x
    named = for_many_models() or (not torch.compiler.is_compiling() and _source.generators)
    return x * _mask(x, x.shape, rate) if named else functional.dropout(x, rate)


def drop_path(x: Tensor, rate: float) -> Tensor:
    """The same for whole samples: [batch, …]."""
    return x if rate == 0 else x * _mask(x, (x.shape[0], *[1] * (x.ndim - 1)), rate)


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

    A fused kernel where there is one: on a CPU not with dropout, nor for many models at once. What torch falls back to
    there would also look for rows without any key, which this leaves out. mixers: of the scaled products, before the
    bias is added, and of the weights; no kernel has them.

    A fused kernel knows torch's own generator alone. On a GPU many models draw from that together, unless algorithms
    have to be deterministic: then each draws from its own, and no kernel is fused.
    """
    if mixers is not None:
        weights = mixers[0]((q * (1 / math.sqrt(q.shape[-1]))) @ k.transpose(-2, -1))
        weights = mixers[1]((weights if bias is None else weights + bias).softmax(dim=-1))
        return dropout(weights, rate) @ v
    if _fuses(q, bias, rate):
        return functional.scaled_dot_product_attention(q, k, v, attn_mask=bias, dropout_p=rate)
    root = math.sqrt(1 / math.sqrt(q.shape[-1]))  # on either side, as in torch's fallback
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


# Two operators, of which a compiler sees the second alone. It looks into neither: an operator's masks come from
# generators, and what a compiler would make of these is none of the models'.
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

"""Turning queries and keys by angles, pair by pair of their channels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

_COMPLEX = (torch.float32, torch.float64)  # torch has no complex numbers of bfloat16


def turned(x: Tensor, turn: Tensor | None) -> Tensor:
    """Turn channels (2t, 2t + 1) of each token by its angle t: (a, b) to (a cos - b sin, a sin + b cos).

    One complex product does it, so that memory is read and written once. Compiled code uses real numbers, because
    torch's compiler doesn't fuse complex ones. Half precision is turned in the precision of `turn`.

    Args:
        x: queries or keys, [..., heads, tokens, head width].
        turn: cosine and sine, [heads, tokens, head width / 2, 2]; None leaves x as it is.
    """
    if turn is None:
        return x
    pairs = x.to(turn.dtype).unflatten(-1, (-1, 2))
    if torch.compiler.is_compiling():
        (a, b), (cosine, sine) = pairs.unbind(-1), turn.unbind(-1)
        pairs = torch.stack([a * cosine - b * sine, a * sine + b * cosine], dim=-1)
    else:
        pairs = torch.view_as_real(torch.view_as_complex(pairs) * torch.view_as_complex(turn))
    return pairs.flatten(-2).to(x.dtype)


class TurnedProjection(torch.autograd.Function):
    """q, k and v of a projection, with q and k turned: as `turned`, with fewer copies in the backward pass.

    The gradients are written where the projection's backward pass reads them. Call it as `apply(packed, turn)`, with
    q, k and v along the last axis, [batch, tokens, 3 × heads × head width], and `turn` as in `turned`. It returns q, k
    and v, [batch, heads, tokens, head width] each. It supports neither torch.vmap nor torch.compile.
    """

    @staticmethod
    def forward(ctx: Any, packed: Tensor, turn: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Turn q and k; v is a view."""
        *read, v = packed.unflatten(2, (3, len(turn), -1)).unbind(2)
        table = turn_table(turn)
        turns = [turn_into(x.new_empty(x.shape), x, table) for x in read]
        ctx.save_for_backward(table, *(turns if ctx.needs_input_grad[1] else ()))
        q, k = (x.transpose(1, 2) for x in turns)
        return q, k, v.transpose(1, 2)

    @staticmethod
    def backward(ctx: Any, *of_parts: Tensor) -> tuple[Tensor, Tensor | None]:
        """The gradients of `packed` and `turn`."""
        table, *turns = ctx.saved_tensors
        *read, of_v = (grad.transpose(1, 2) for grad in of_parts)
        # Complex numbers need real and imaginary parts side by side. With dropout or mixed heads, attention returns the
        # keys' gradients transposed.
        read = [grad if grad.stride(-1) == 1 else grad.contiguous() for grad in read]
        batch, tokens, heads, width = of_v.shape
        grads = of_v.new_empty(batch, tokens, 3, heads, width)
        for number, grad in enumerate(read):
            turn_into(grads[:, :, number], grad, table.conj())
        grads[:, :, 2] = of_v
        return grads.flatten(2), turn_gradient(read, turns, table).transpose(0, 1) if turns else None


def turn_table(turn: Tensor) -> Tensor:
    """The numbers cos + i sin of `turn`, laid out for queries and keys: complex [tokens, heads, pairs]."""
    return torch.view_as_complex(turn).transpose(0, 1)


def turn_into(out: Tensor, x: Tensor, table: Tensor) -> Tensor:
    """Turn x and write the result, in one pass over memory.

    Args:
        out: a tensor of x's shape and type. It is returned.
        x: queries, keys or their gradients, [batch, tokens, ..., head width].
        table: cos + i sin, from `turn_table`, [tokens, ..., pairs]; its conjugate turns back.
    """
    pairs, written = x.unflatten(-1, (-1, 2)), out.unflatten(-1, (-1, 2))
    if x.dtype in _COMPLEX:
        torch.mul(torch.view_as_complex(pairs), table, out=torch.view_as_complex(written))
    else:
        written.copy_(torch.view_as_real(torch.view_as_complex(pairs.float()) * table))
    return out


def turn_gradient(grads: Iterable[Tensor], turns: Iterable[Tensor], table: Tensor) -> Tensor:
    """The gradient of cosine and sine, [tokens, ..., pairs, 2].

    Args:
        grads: the gradients of the turned queries and of the turned keys, [batch, tokens, ..., head width].
        turns: the turned queries and keys, in the same shape.
        table: as in `turn_into`; its numbers have length 1.
    """
    found = torch.zeros_like(table)
    for grad, x in zip(grads, turns, strict=True):
        of_x, pairs = (
            torch.view_as_complex((y if y.dtype in _COMPLEX else y.float()).unflatten(-1, (-1, 2))) for y in (grad, x)
        )
        found += (pairs.conj() * of_x).sum(dim=0)
    return torch.view_as_real(found * table)

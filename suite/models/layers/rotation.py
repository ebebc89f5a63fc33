"""Turning queries and keys by angles, pair by pair of their channels."""

from __future__ import annotations

import torch
from torch import Tensor

_COMPLEX = (torch.float32, torch.float64)  # torch has no complex numbers of bfloat16


def turned(x: Tensor, turn: Tensor | None) -> Tensor:
    """Turn channels (2t, 2t + 1) of each token by its angle t: (a, b) to (a cos - b sin, a sin + b cos).

    One complex product does it, so that memory is read and written once. Compiled code uses real numbers, because
    torch's compiler doesn't fuse complex ones. Half precision is turned in single precision.

    Args:
        x: queries or keys, [..., heads, tokens, head width].
        turn: cosine and sine, [heads or 1, tokens, head width / 2, 2]; None leaves x as it is.
    """
    if turn is None:
        return x
    exact = x if x.dtype in _COMPLEX else x.float()
    pairs = exact.unflatten(-1, (-1, 2))
    if torch.compiler.is_compiling():
        (a, b), (cosine, sine) = pairs.unbind(-1), turn.unbind(-1)
        pairs = torch.stack([a * cosine - b * sine, a * sine + b * cosine], dim=-1)
    else:
        pairs = torch.view_as_real(torch.view_as_complex(pairs) * torch.view_as_complex(turn))
    return pairs.flatten(-2).to(x.dtype)


def turn_packed(packed: Tensor, table: Tensor) -> None:
    """Turn queries and keys in place.

    Args:
        packed: q, k and v or their gradients, [batch, tokens, 3, heads, head width].
        table: cos + i sin, from `packed_table`; its conjugate turns back.
    """
    pairs = packed[:, :, :2].unflatten(-1, (-1, 2))
    if packed.dtype in _COMPLEX:
        torch.view_as_complex(pairs).mul_(table)
    else:
        pairs.copy_(torch.view_as_real(torch.view_as_complex(pairs.float()) * table))


def packed_table(turn: Tensor) -> Tensor:
    """The numbers cos + i sin of `turn`, laid out for packed queries and keys: [tokens, 1, heads or 1, pairs]."""
    return torch.view_as_complex(turn).transpose(0, 1)[:, None].contiguous()


def turn_gradient(packed: Tensor, grads: Tensor, table: Tensor, heads: int) -> Tensor:
    """The gradient of `turn`, [heads or 1, tokens, pairs, 2].

    Args:
        packed: the turned q and k, and v.
        grads: their gradients, before they are turned back.
        table: as in `turn_packed`.
        heads: the first dimension of `turn`.
    """
    exact = packed.dtype if packed.dtype in _COMPLEX else torch.float32
    qk, of_qk = (torch.view_as_complex(values[:, :, :2].to(exact).unflatten(-1, (-1, 2))) for values in (packed, grads))
    found = (qk.conj() * of_qk).sum(dim=(0, 2), keepdim=True)[0] * table  # [tokens, 1, heads, pairs]
    found = found[:, 0].transpose(0, 1)
    return torch.view_as_real(found if len(found) == heads else found.sum(dim=0, keepdim=True))

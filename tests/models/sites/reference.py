"""Attention with a position embedding, written a second time: loops over heads, queries and keys, in double precision.

Every formula is that of the paper. Nothing of the package is used but the weights of the projections.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from suite.models.layers.blocks import Attention

Patch = tuple[int, int]  # row and column
# What is added to the scaled product of a query and a key, from head, query, key, and their vectors q and k.
Logit = Callable[[int, int, int, Tensor, Tensor], float]
Turn = Callable[[int, Patch], Sequence[float]]  # the angle of each pair of channels, from head and patch


def patches(rows: int, columns: int) -> list[Patch]:
    """The patches in row-major order."""
    return [(row, column) for row in range(rows) for column in range(columns)]


def turned(x: Tensor, angles: Sequence[float]) -> Tensor:
    """Each pair of channels as a complex number, times e^(i angle)."""
    numbers = [complex(a, b) for a, b in x.view(-1, 2).tolist()]
    pairs = [number * cmath.exp(1j * angle) for number, angle in zip(numbers, angles, strict=True)]
    return torch.tensor([part for z in pairs for part in (z.real, z.imag)], dtype=torch.double)


@torch.no_grad()
def attended(
    attention: Attention, x: Tensor, at: Sequence[Patch | None], *, turn: Turn | None = None, logit: Logit | None = None
) -> Tensor:
    """The output of attention for the tokens of one image or window, [tokens, width].

    Args:
        attention: its projections' weights are used.
        x: [tokens, width].
        at: the patch of each token; None for a prefix token, which is never turned.
        turn: the angles of a patch.
        logit: what is added to the logits.
    """
    heads, tokens = attention.heads, len(x)
    q, k, v = (part.view(tokens, heads, -1) for part in attention.qkv(x).chunk(3, dim=-1))
    mixed = torch.zeros_like(q)
    for head in range(heads):
        rotated = [
            [
                part[token, head] if turn is None or (patch := at[token]) is None
                else turned(part[token, head], turn(head, patch))
                for token in range(tokens)
            ]
            for part in (q, k)
        ]  # fmt: skip
        for query in range(tokens):
            logits = []
            for key in range(tokens):
                product = float(rotated[0][query] @ rotated[1][key]) / math.sqrt(q.shape[-1])
                added = logit(head, query, key, q[query, head], k[key, head]) if logit else 0.0
                logits.append(product + added)
            weights = torch.tensor(logits, dtype=torch.double).softmax(0)
            mixed[query, head] = weights @ v[:, head]
    made: Tensor = attention.proj(mixed.flatten(1))
    return made

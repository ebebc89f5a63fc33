"""Leaving out what the loss doesn't depend on, for whoever trains where each product costs time.

Within `sparing`, models compute the same but for rounding and the masks of dropout, and spend less on it:

- the last block has the tokens that the head reads, and no others;
- a sample whose branch stochastic depth drops doesn't go through the branch;
- attention keeps and copies less for its backward pass (`suite.models.layers.attention`).

A GPU, for which to choose samples would be to wait, spares the tokens alone: see `sparing_tokens`.

It is asked for, and never on by itself: what is counted, exported or tested is the model as it is published, and so
is what small models train by on a CPU.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor


class _Asked(threading.local):
    spares: bool = False


_asked = _Asked()
_tokens_only = False  # of the whole process: what is compiled can't see what a thread has for itself


@contextmanager
def sparing() -> Iterator[None]:
    """Let this thread's models spare what they can."""
    before, _asked.spares = _asked.spares, True
    try:
        yield
    finally:
        _asked.spares = before


@contextmanager
def sparing_tokens() -> Iterator[None]:
    """Let the last block have the tokens that the head reads, and no others, in all threads."""
    global _tokens_only
    before, _tokens_only = _tokens_only, True
    try:
        yield
    finally:
        _tokens_only = before


def spares_tokens() -> bool:
    """Whether the last block is to have only the tokens that the head reads."""
    return _tokens_only or _asked.spares


def spares() -> bool:
    """Whether this thread's models are to spare what they can."""
    return _asked.spares


def first(x: Tensor, tokens: int | None) -> Tensor:
    """So many first tokens of [batch, tokens, …]; None: all of them."""
    return x if tokens is None else x[:, :tokens]

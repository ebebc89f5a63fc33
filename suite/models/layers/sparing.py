"""Switches that make training skip computations on which the loss doesn't depend.

Within `sparing`, a model computes the same function with less work. Only rounding and dropout masks differ:

- the last block computes only the tokens that the head reads;
- samples that stochastic depth drops don't go through the branch;
- attention copies less and saves less for its backward pass (`suite.models.layers.attention`).

On a GPU, selecting samples would force a synchronisation. There, use `sparing_tokens`, which only skips tokens.

Both are off by default. Cost counting, export and tests use the complete published model, and so does the training of
small models on a CPU.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor


class _Asked(threading.local):
    spares: bool = False


_asked = _Asked()
_tokens_only = False  # for the whole process, because compiled code can't read thread-local values


@contextmanager
def sparing() -> Iterator[None]:
    """Make this thread's models skip everything that the module's docstring lists."""
    before, _asked.spares = _asked.spares, True
    try:
        yield
    finally:
        _asked.spares = before


@contextmanager
def sparing_tokens() -> Iterator[None]:
    """Make the last block compute only the tokens that the head reads, in all threads."""
    global _tokens_only
    before, _tokens_only = _tokens_only, True
    try:
        yield
    finally:
        _tokens_only = before


def spares_tokens() -> bool:
    """Whether the last block should compute only the tokens that the head reads."""
    return _tokens_only or _asked.spares


def spares() -> bool:
    """Whether this thread is within `sparing`."""
    return _asked.spares


def first(x: Tensor, tokens: int | None) -> Tensor:
    """The first `tokens` tokens of [batch, tokens, …]; all of them for None."""
    return x if tokens is None else x[:, :tokens]

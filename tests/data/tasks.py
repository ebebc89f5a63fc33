"""Functions that tests give to processes."""

from __future__ import annotations

import signal
from typing import Any

from suite.errors import InputError


def square(number: int) -> tuple[Any, bytes]:
    """A fact and a few bytes."""
    return number**2, bytes([number % 256]) * (number % 5)


def fail(number: int) -> tuple[Any, bytes]:
    """An error of the input for the last of some numbers, another error for the first."""
    if number == 0:
        raise ZeroDivisionError("zero")
    raise InputError("what\x1b", expected="a", found="b", where="\udcff", fix="d")


def die(number: int) -> tuple[Any, bytes]:
    """What a system without memory does."""
    signal.raise_signal(signal.SIGKILL)
    return number, b""


def chatter(number: int) -> tuple[Any, bytes]:
    """What a library may do."""
    print("a line that is no answer")
    return number, b""

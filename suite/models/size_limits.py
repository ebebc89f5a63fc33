"""The largest sizes of an architecture. Larger ones are mistakes: a model of them would take hours to build."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from suite.errors import InputError, Problem

LARGEST = 1_000_000
LARGEST_COUNT = 1_000
_COUNTS = ("depth", "depths", "conv_layers", "num_heads")  # of modules, which are built one after another


def check_sizes(name: str, sizes: Mapping[str, Any]) -> None:
    """Refuse sizes that no model can have.

    Args:
        name: the architecture's name, for the message.
        sizes: whole numbers and lists of them count; anything else is left alone.

    Raises:
        InputError: a size is too large.
    """
    if problems := list(_too_large(name, sizes)):
        raise InputError(problems=problems)


def _too_large(name: str, sizes: Mapping[str, Any]) -> Iterator[Problem]:
    for key, value in sizes.items():
        most = LARGEST_COUNT if key in _COUNTS else LARGEST
        for number in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(number, int) and number > most:
                yield Problem(
                    f"architecture {name!r}: {key} is too large",
                    expected=f"at most {most:,}",
                    found=f"{number}",
                    fix=f"set {key} to a value that fits",
                )

"""What the rules that make a data set have in common: how the command line writes them, and their checksum."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import TypeVar

from pydantic import ValidationError

from suite.store.canonical import canonical_json

Value = TypeVar("Value")


def read_values(text: str, read: Callable[[str, str], Value], *said: str) -> dict[str, Value]:
    """The values of KEY=VALUE, separated by commas.

    Args:
        text: what the command line gives.
        read: the value of a key and its text; raises `ValueError` if it is none.
        said: keys that another option says.

    Raises:
        ValueError: it says which part is wrong: one without a value, or a key that stands there twice.
    """
    values: dict[str, Value] = {}
    for part in text.split(","):
        key, equals, value = part.partition("=")
        key = key.strip()
        if not equals:
            raise ValueError(repr(part))
        if key in values or key in said:
            raise ValueError(f"{key} twice")
        try:
            values[key] = read(key, value)
        except ValueError:
            raise ValueError(repr(part)) from None
    return values


def first_problem(error: ValidationError) -> str:
    """The first thing that is wrong with the values of a rule, with the place."""
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"]))
    return f"{place}: {first['msg']}" if place else str(first["msg"])


def checksum_with(name: str, rule: Mapping[str, object], arrays: str) -> str:
    """A data set's checksum: SHA-256 over its rule, under the rule's name, and the checksum of its arrays."""
    return hashlib.sha256(canonical_json({name: rule, "arrays": arrays}).encode()).hexdigest()

"""What the rules that make a data set have in common: how the command line writes them, and their checksum."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import TypeVar

from pydantic import ValidationError

from suite.store.canonical import canonical_json

Number = TypeVar("Number", bound=float)


def read_numbers(text: str, number: Callable[[str, str], Number], *said: str) -> dict[str, Number]:
    """The values of KEY=NUMBER, separated by commas.

    Args:
        text: what the command line gives.
        number: the number of a key and its text; raises `ValueError` if it is none.
        said: keys that another option says.

    Raises:
        ValueError: it says which part is wrong: one without a number, or a key that stands there twice.
    """
    values: dict[str, Number] = {}
    for part in text.split(","):
        key, _, value = part.partition("=")
        key = key.strip()
        try:
            found = number(key, value)
        except ValueError:
            raise ValueError(repr(part)) from None
        if key in values or key in said:
            raise ValueError(f"{key} twice")
        values[key] = found
    return values


def first_problem(error: ValidationError) -> str:
    """The first thing that is wrong with the values of a rule, with the place."""
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"]))
    return f"{place}: {first['msg']}" if place else str(first["msg"])


def checksum_with(name: str, rule: Mapping[str, object], arrays: str) -> str:
    """A data set's checksum: SHA-256 over its rule, under the rule's name, and the checksum of its arrays."""
    return hashlib.sha256(canonical_json({name: rule, "arrays": arrays}).encode()).hexdigest()

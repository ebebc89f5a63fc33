"""What the rules that make a data set have in common: how the command line writes them, and their checksum."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from suite.errors import InputError, first_line, nearest
from suite.plain_errors import expected_of
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


def refusal(
    error: ValueError | OverflowError,
    rule: type[BaseModel],
    text: str,
    *,
    what: str,
    expected: str,
    where: str,
    fix: str,
) -> InputError:
    """The refusal of an option's text, with the first thing that is wrong with it.

    Args:
        error: of `read_values`, of a number, or of the rule's own checks, whose text says what they expect.
        rule: the model that the text is read for.
        text: the option's text.
        what: what is wrong, in a few words.
        expected: the form of the text.
        where: the option with its text.
        fix: an example.
    """
    found = first_line(error)
    if isinstance(error, ValidationError):
        # A misspelt key comes before the missing key that it was meant for.
        first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
        place = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            found, fix = f"an unknown key {place!r}", f"{nearest(place, rule.model_fields)}; {fix}"
        elif first["type"] == "missing":
            found = f"no {place}"
        elif first["type"] == "value_error":
            expected, found = expected_of(first), f"{place}={first['input']}" if place else text
        else:
            expected, found = f"for {place}, {expected_of(first)}", f"{place}={first['input']}"
    return InputError(what, expected=expected, found=found, where=where, fix=fix)


def checksum_with(name: str, rule: Mapping[str, object], arrays: str) -> str:
    """A data set's checksum: SHA-256 over its rule, under the rule's name, and the checksum of its arrays."""
    return hashlib.sha256(canonical_json({name: rule, "arrays": arrays}).encode()).hexdigest()

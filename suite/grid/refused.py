"""What a message says of a value in a YAML file that a pydantic model refuses."""

from __future__ import annotations

import re
import textwrap
import types
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from suite.errors import Problem, nearest
from suite.plain_errors import RefusedValueError, expected_of

_LONG = 80  # the most characters of a value that a message shows
_NUMBERS = {1: "one", 2: "two", 3: "three", 4: "four"}
_PLURAL = {float: "numbers", int: "whole numbers", str: "texts", bool: "values, each true or false"}


def refused_parts(model: type[BaseModel], inside: Sequence[str | int], error: ErrorDetails) -> Problem:
    """What was expected, what was found and what to do; without a place.

    Args:
        model: the model that refuses the value.
        inside: where the value is in the model.
        error: of pydantic's `ValidationError`.
    """
    raised = error.get("ctx", {}).get("error")
    if isinstance(raised, RefusedValueError):
        problem = raised.problem
        return Problem(
            problem.what,
            expected=problem.expected,
            found=problem.found or _found(error),
            fix=problem.fix or _advice(model, inside),
        )
    expected = expected_of(error)
    if error["type"] in ("missing", "too_short", "too_long", "tuple_type", "list_type"):
        expected = _list_words(_annotation_at(model, inside)) or expected
    fix = ""
    if error["type"] == "literal_error":
        known = re.findall("'([^']*)'", error["ctx"]["expected"])
        fix = nearest(str(error["input"]), known) if known else ""
    keys = keys_named(error)
    if keys:
        fix = f"change {' or '.join(keys)}"
    elif error["type"] == "invalid_key" or inside[-1:] == ("[key]",):  # pydantic's place of a key that is refused
        fix = "change the key"
    return Problem("", expected=expected, found=_found(error), fix=fix or _advice(model, inside))


def keys_named(error: ErrorDetails) -> list[str]:
    """The keys of a refused mapping that its message names: a problem of these together."""
    values = error["input"]
    if error["type"] != "value_error" or not isinstance(values, Mapping):
        return []
    return [word for word in dict.fromkeys(re.findall(r"\w+", error["msg"])) if word in values]


def fields_at(model: type[BaseModel], location: Sequence[str | int]) -> dict[str, str]:
    """Return the keys that a model accepts at a location, with their descriptions."""
    found = _models_in(_annotation_at(model, location))
    return {name: info.description or "" for name, info in found[0].model_fields.items()} if found else {}


def _found(error: ErrorDetails) -> str:
    """The refused value; of several keys that don't go together, each with its value."""
    values, keys = error["input"], keys_named(error)
    return ", ".join(f"{key} {_text(values[key])}" for key in keys) if keys else _shown(values)


def _advice(model: type[BaseModel], inside: Sequence[str | int]) -> str:
    """To change the key, and what it is."""
    keys = [place for place, part in enumerate(inside) if isinstance(part, str)]
    if not keys:
        return "change the value"
    key = str(inside[keys[-1]])
    meaning = fields_at(model, inside[: keys[-1]]).get(key, "")
    return f"change {key}" + (f" ({meaning})" if meaning else "")


def _shown(value: Any) -> str:
    """Format a value in one line, with its type."""
    text = _text(value)
    return text if _is_large(value) else f"{text} ({type(value).__name__})"


def _text(value: Any) -> str:
    """Format a value in one line. A large container is described by its length or its keys."""
    if _is_large(value):
        keys = ", ".join(map(str, value))
        return f"a list of {len(value)}" if isinstance(value, list) else f"the keys {textwrap.shorten(keys, _LONG)}"
    text = repr(value)
    return text if len(text) <= _LONG else text[:_LONG] + "…"


def _is_large(value: Any) -> bool:
    return isinstance(value, (dict, list)) and len(repr(value)) > _LONG


def _list_words(annotation: Any) -> str:
    """What a list of a fixed length has: "a list of two numbers". Empty for another kind of value."""
    for option in _options(annotation):
        parts = get_args(option)
        if get_origin(option) is tuple and Ellipsis not in parts:
            return f"a list of {_NUMBERS.get(len(parts), len(parts))} {_PLURAL.get(parts[0], 'values')}"
    return ""


def _annotation_at(model: type[BaseModel], location: Sequence[str | int]) -> Any:
    annotation: Any = model
    for part in location:
        candidates = [c for c in _models_in(annotation) if isinstance(part, str) and part in c.model_fields]
        if candidates:
            annotation = candidates[0].model_fields[str(part)].annotation
    return annotation


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return [annotation] if issubclass(annotation, BaseModel) else []
    if get_origin(annotation) in (Union, types.UnionType, list, dict, tuple):
        return [model for part in get_args(annotation) for model in _models_in(part)]
    return []


def _options(annotation: Any) -> list[Any]:
    """The alternatives of a union; of another annotation, itself."""
    if get_origin(annotation) is Annotated:
        return _options(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return [option for part in get_args(annotation) for option in _options(part)]
    return [annotation]

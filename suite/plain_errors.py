"""What pydantic says of a value that it refuses, in plain words: its own messages are for programmers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from suite.errors import Problem

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

# By the type of the error: what is expected. In braces: what pydantic says of the bound that was missed.
_EXPECTED: Mapping[str, str] = {
    "greater_than": "a number above {gt}",
    "greater_than_equal": "a number of at least {ge}",
    "less_than": "a number below {lt}",
    "less_than_equal": "a number of at most {le}",
    "finite_number": "a finite number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number of fewer digits",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text, in quotes if it looks like a number",
    "string_too_short": "text of at least {min_length} {characters}",
    "string_too_long": "text of at most {max_length} {characters}",
    "string_unicode": "text in UTF-8",
    "too_short": "a list of at least {min_length} {entries}",
    "too_long": "at most {max_length} {entries}",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "keys with values",
    "model_type": "keys with values",
    "model_attributes_type": "keys with values",
    "literal_error": "{expected}",
    "none_required": "null",
    "invalid_key": "a key that is a word",
    "missing": "a value",
    "extra_forbidden": "no key of this name",
}
_LENGTHS = {"characters": "character", "entries": "entry"}

# The patterns that texts must match, in words.
FORMS: Mapping[str, str] = {
    r"^[a-z0-9][a-z0-9_-]*$": "lower-case letters, digits, '_' and '-', with a letter or digit in front",
    r"^[a-z0-9][a-z0-9_.-]*$": "lower-case letters, digits, '_', '.' and '-', with a letter or digit in front",
    r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$": "letters, digits, '_', '.', '+' and '-', with a letter or digit in front",
    r"^\w[\w.-]*$": "letters, digits, '_', '.' and '-', with none of the last two in front",
    r"^[0-9a-f]{64}$": "a checksum: 64 of the characters 0 to 9 and a to f",
    r"^\d{1,9}(\.\d{1,9})?$": 'a number of digits, in quotes, such as "80.00"',
    r"^[+-]?\d{1,9}(\.\d{1,9})?$": 'a number of digits, in quotes, such as "+0.08"',
    r"^0\.\d{1,4}$": 'a part above 0 and below 1, in quotes, such as "0.5"',
}


class RefusedValueError(ValueError):
    """What a validator raises to say more than what it expects: pydantic shows the text, `problem` has the parts."""

    def __init__(self, what: str = "", *, expected: str, found: str = "", fix: str = "") -> None:
        self.problem = Problem(what, expected=expected, found=found, fix=fix)
        super().__init__("; ".join(part for part in (expected, what, found and f"not {found}", fix) if part))


def expected_of(error: ErrorDetails) -> str:
    """What was expected of a value, in plain words. error: one of those of a pydantic `ValidationError`."""
    kind, bounds = error["type"], error.get("ctx", {})
    if kind == "value_error":
        raised = bounds["error"]
        return raised.problem.expected if isinstance(raised, RefusedValueError) else str(raised)
    if kind == "string_pattern_mismatch":
        return FORMS.get(bounds["pattern"], "text of another form")
    single = 1 in (bounds.get("min_length"), bounds.get("max_length"))
    words = {many: one if single else many for many, one in _LENGTHS.items()}
    return _EXPECTED.get(kind, "another value").format(**words | {name: _text(bound) for name, bound in bounds.items()})


def _text(bound: Any) -> str:
    return f"{bound:.12g}" if isinstance(bound, float) else str(bound)

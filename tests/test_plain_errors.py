"""What pydantic says of a value, in plain words."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError

from suite.plain_errors import RefusedValueError, expected_of


def refused(kind: Any, value: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(kind, config=ConfigDict(strict=True, allow_inf_nan=False)).validate_python(value)
    return expected_of(caught.value.errors()[0])


def check(value: str) -> str:
    if value == "a":
        raise ValueError("a letter that isn't a")
    raise RefusedValueError("the letter", expected="a vowel", found="b", fix="change it")


@pytest.mark.parametrize(
    ("kind", "value", "told"),
    [
        (Annotated[int, Field(ge=1)], 0, "a number of at least 1"),
        (Annotated[float, Field(gt=0)], 0.0, "a number above 0"),
        (Annotated[float, Field(le=0.5)], 1.0, "a number of at most 0.5"),
        (Annotated[int, Field(lt=2**62)], 2**62, f"a number below {2**62}"),
        (float, float("nan"), "a finite number"),
        (float, "1.0", "a number"),
        (int, 1.5, "a whole number"),
        (bool, "maybe", "true or false"),
        (str, 1, "text, in quotes if it looks like a number"),
        (Annotated[str, Field(min_length=1)], "", "text of at least 1 character"),
        (Annotated[str, Field(max_length=2)], "abc", "text of at most 2 characters"),
        (Annotated[str, Field(pattern="^[0-9a-f]{64}$")], "abc", "a checksum: 64 of the characters 0 to 9 and a to f"),
        (Annotated[str, Field(pattern="^x$")], "y", "text of another form"),
        (Annotated[list[int], Field(min_length=2)], [1], "a list of at least 2 entries"),
        (Annotated[list[int], Field(max_length=1)], [1, 2], "at most 1 entry"),
        (list[int], 1, "a list"),
        (dict[str, int], 1, "keys with values"),
        (Literal["a", "b"], "c", "'a' or 'b'"),
        (Annotated[str, AfterValidator(check)], "a", "a letter that isn't a"),
        (Annotated[str, AfterValidator(check)], "b", "a vowel"),
        (complex, "x", "another value"),
    ],
)
def test_what_is_expected(kind: Any, value: Any, told: str) -> None:
    assert refused(kind, value) == told


def test_the_text_of_a_refused_value_has_all_its_parts() -> None:
    assert str(RefusedValueError("a word", expected="x", found="y", fix="z")) == "x; a word; not y; z"
    assert str(RefusedValueError(expected="x")) == "x"

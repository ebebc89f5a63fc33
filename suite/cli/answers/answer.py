"""The base of all answers for programs, how they are printed, and the answer of a command that refuses its input.

Each answer names its format and version, such as "lape/plan/1". Within a version keys are only added: a program should
ignore keys that it doesn't know.
"""

from __future__ import annotations

import json
import math
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from suite.errors import InputError
from suite.text import encodable


class Part(BaseModel):
    """A part of an answer."""

    model_config = ConfigDict(frozen=True)


class OpenPart(Part):
    """A part of an answer that may have more keys than those described."""

    model_config = ConfigDict(extra="allow")


class ProblemPart(Part):
    """One fault of the input."""

    what: str = Field(description="what is wrong")
    expected: str
    found: str
    where: str = Field(description="a file and line, an option, or a folder")
    fix: str = Field(description="what to do")


class ErrorAnswer(Part):
    """The input can't be used (exit code 2). It is also printed on standard error, in words."""

    format: Literal["lape/error/1"] = "lape/error/1"
    exit_code: Literal[2] = 2
    problems: list[ProblemPart]


def problem_parts(error: InputError) -> list[ProblemPart]:
    """The problems of an error as parts of an answer."""
    return [ProblemPart(**vars(problem)) for problem in error.problems]


def error_line(error: InputError) -> str:
    """The error as one line of JSON."""
    return json_text(ErrorAnswer(problems=problem_parts(error)))


def json_text(answer: BaseModel, indent: int | None = None) -> str:
    r"""The answer as JSON in ASCII, on one line unless an indent is given.

    Numbers that aren't finite are null. A byte of a path that isn't UTF-8 is written as an escape, as \udcff.
    """
    return json.dumps(_encodable(answer.model_dump(mode="json")), indent=indent, allow_nan=False)


def _encodable(value: Any) -> Any:
    if isinstance(value, dict):
        return {_encodable(key): _encodable(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_encodable(part) for part in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return encodable(value) if isinstance(value, str) else value

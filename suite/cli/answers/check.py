"""The answer of `lape check --json`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from suite.cli.answers.answer import Part, ProblemPart


class CheckedPart(Part):
    """A file that is valid, or a level that was built and trained."""

    kind: Literal["grid", "claims", "level"]
    name: str = Field(description="the path of the file; of a level: its axis and name")
    summary: str
    notes: list[str] = Field(description="what isn't wrong, but worth knowing")


class CheckAnswer(Part):
    """What is valid, and all that isn't. The exit code is 2 if there are problems, else 0."""

    format: Literal["lape/check/1"] = "lape/check/1"
    valid: bool
    checked: list[CheckedPart]
    problems: list[ProblemPart]

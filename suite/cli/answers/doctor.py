"""The answer of `lape doctor --json`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from suite.cli.answers.answer import Part


class DoctorPart(Part):
    """One thing that was looked at."""

    name: str
    state: Literal["ok", "note", "problem"] = Field(
        description="note: something is missing that not every use needs; problem: something doesn't work"
    )
    found: str
    fix: str = Field(description="what to do; empty: nothing")


class DoctorAnswer(Part):
    """What this machine has for the suite. It holds no host name, user name or secret."""

    format: Literal["lape/doctor/1"] = "lape/doctor/1"
    parts: list[DoctorPart]

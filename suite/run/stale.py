"""Stale records: those of trials whose levels have other code now than when they ran."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from suite.errors import InputError, unknown
from suite.grid.trial import Trial
from suite.store.record import RunRecord

Answer = Literal["", "rerun", "keep"]
ANSWERS: tuple[Answer, ...] = ("rerun", "keep")

_SHOWN = 5  # records in a message


@dataclass(frozen=True)
class Stale:
    """A stored record of a trial, and the axes whose level has other code now."""

    trial: Trial
    axes: tuple[str, ...]

    @property
    def line(self) -> str:
        """The trial, and which of its levels have changed."""
        changed = ", ".join(f"{axis} {self.trial.levels[axis]}" for axis in self.axes)
        return f"{self.trial.id} ({self.trial.label}): the code of {changed}"


def stale_records(trials: Iterable[Trial], records: Mapping[str, RunRecord]) -> list[Stale]:
    """The trials whose record is of other code. Older records say nothing of their code, and are never stale."""
    found = []
    for trial in trials:
        record = records.get(trial.id)
        if record is None or record.code is None:
            continue
        axes = tuple(axis for axis, now in trial.code.items() if record.code.get(axis, now) != now)
        if axes:
            found.append(Stale(trial, axes))
    return found


def stale_lines(stale: list[Stale]) -> list[str]:
    """The first of them, a line each, and how many there are besides."""
    more = [f"and {len(stale) - _SHOWN} more"] if len(stale) > _SHOWN else []
    return [*(one.line for one in stale[:_SHOWN]), *more]


def stale_answer(text: str) -> Answer:
    """What `--stale` says; raises `InputError` for anything else."""
    for answer in ANSWERS:
        if text == answer:
            return answer
    if text:
        raise unknown("word on stale records", text, ANSWERS, where=f"--stale {text}")
    return ""


def check_answered(stale: list[Stale], answer: Answer) -> None:
    """Raise `InputError` if there are stale records, and nobody said what is to become of them."""
    if stale and not answer:
        raise InputError(
            f"{len(stale)} stored runs were made by other code than that at hand",
            expected="runs whose code is that of the levels now, or a word on what to do",
            found="; ".join(stale_lines(stale)),
            where="the results of this grid",
            fix="--stale rerun trains them again; --stale keep keeps them, and tables and verdicts say so",
        )

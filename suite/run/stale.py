"""Stale records: those of trials whose levels have other code now than when they ran."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from suite.errors import InputError, unknown
from suite.grid.trial import Trial
from suite.store.canonical import canonical_json
from suite.store.record import RunRecord
from suite.store.same_code import scope_of
from suite.text import counted

Answer = Literal["", "rerun", "keep", "verify"]
ANSWERS: tuple[Answer, ...] = ("rerun", "keep", "verify")

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
        if record is None or (code := record.code_now) is None:
            continue
        axes = tuple(axis for axis, now in trial.code.items() if code.get(axis, now) != now)
        if axes:
            found.append(Stale(trial, axes))
    return found


@dataclass(frozen=True)
class Check:
    """A trial to train again, and the stale records that are no longer stale if its outcome is the same."""

    trial: Trial
    record: RunRecord
    stands_for: tuple[Stale, ...]


def checks(stale: Iterable[Stale], records: Mapping[str, RunRecord]) -> list[Check]:
    """The runs to train again: of each scope and each version of its code the quickest one, in the grid's order.

    A scope without a finished run of a version is left out, because there is nothing to compare with.
    """
    groups: dict[tuple[str, str], list[Stale]] = {}
    for one in stale:
        record = records[one.trial.id]
        groups.setdefault((scope_of(record.config), canonical_json(record.code_now)), []).append(one)
    found = []
    for group in groups.values():
        done = [one for one in group if records[one.trial.id].status == "done"]
        if done:
            quickest = min(done, key=lambda one: records[one.trial.id].train_seconds or 0.0)
            found.append(Check(quickest.trial, records[quickest.trial.id], tuple(group)))
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
    if stale and answer in ("", "verify"):
        raise InputError(
            f"{counted(len(stale), 'stored run was', 'stored runs were')} made by other code than that at hand",
            expected="runs whose code is that of the levels now, or a word on what to do",
            found="; ".join(stale_lines(stale)),
            where="the results of this grid",
            fix="--stale verify trains a few of them again and keeps all if the outcome is the same; "
            "--stale rerun trains all of them again; --stale keep keeps them, and tables and verdicts say so",
        )

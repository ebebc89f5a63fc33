"""Runs that are copies of others: they look like further evidence and are none.

Two training runs of different seeds never have the same loss, to the last bit, in every epoch. Equal answers to the
test images alone are no proof: runs that get nearly everything right may share them.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class RunTrace:
    """What tells a run from another one.

    answers: which test images it got right, packed (equal strings are equal answers); None if they weren't kept.
    losses: its training and test losses in every epoch, in one order; None or empty if they weren't kept.
    perfect: it got all images right, so that equal answers mean nothing.
    """

    answers: str | None
    losses: tuple[float, ...] | None
    perfect: bool = False


@dataclass(frozen=True)
class Copies:
    """Which runs are like an earlier one, each as {run: the first run that it is like}.

    copied: same losses in every epoch, and same answers as far as both kept them.
    same_answers: same answers, not all of them right; the losses differ or weren't kept.
    """

    copied: Mapping[int, int]
    same_answers: Mapping[int, int]


def find_copies(runs: Mapping[int, RunTrace]) -> Copies:
    """The copies among runs that should be separate: those of one cell, by seed index, in the order given."""
    copied: dict[int, int] = {}
    same_answers: dict[int, int] = {}
    by_losses: dict[tuple[float, ...], list[int]] = {}
    by_answers: dict[str, int] = {}
    for number, run in runs.items():
        alike = by_losses.setdefault(run.losses, []) if run.losses else []
        first = next((other for other in alike if _agree(run.answers, runs[other].answers)), None)
        if first is not None:
            copied[number] = first
        elif run.answers is not None and not run.perfect and run.answers in by_answers:
            same_answers[number] = by_answers[run.answers]
        alike.append(number)
        if run.answers is not None:
            by_answers.setdefault(run.answers, number)
    return Copies(copied, same_answers)


def _agree(first: str | None, second: str | None) -> bool:
    return first is None or second is None or first == second


def equal_pairs(baseline: Sequence[Hashable], treatment: Sequence[Hashable]) -> tuple[tuple[int, ...], ...]:
    """The groups of pairs (their places) that have the same value on both sides: accuracies, or packed answers.

    On a small test set accuracies agree by chance; answers to many images hardly do.
    """
    groups: dict[tuple[Hashable, Hashable], list[int]] = {}
    for place, pair in enumerate(zip(baseline, treatment, strict=True)):
        groups.setdefault(pair, []).append(place)
    return tuple(tuple(places) for places in groups.values() if len(places) > 1)

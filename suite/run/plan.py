"""What a run of a grid would do: what is there, what is missing, what it costs, what it can show."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from suite.grid.expansion import Dropped, matches
from suite.grid.grid import Expansion
from suite.grid.schema import Expected
from suite.grid.trial import Trial
from suite.store.record import RunRecord


@dataclass(frozen=True)
class Plan:
    """The trials of a grid, by what is known of them.

    others: how many stored runs belong to no trial of this grid as it stands (an older recipe, say).
    """

    to_do: tuple[Trial, ...]
    done: tuple[RunRecord, ...]
    failed: tuple[RunRecord, ...]
    dropped: tuple[Dropped, ...]
    others: int

    @property
    def total(self) -> int:
        """Trials of the grid."""
        return len(self.to_do) + len(self.done) + len(self.failed)


def make_plan(
    expansion: Expansion, records: Mapping[str, RunRecord], retry: Collection[str] = (), again: Collection[str] = ()
) -> Plan:
    """Subtract what is stored from what the grid asks for.

    Args:
        expansion: The trials of the grid.
        records: What is stored, by trial.
        retry: The statuses (of failures) to run again; a failure is otherwise an outcome, and stays.
        again: The ids of trials to run again whatever is stored.
    """
    to_do: list[Trial] = []
    done: list[RunRecord] = []
    failed: list[RunRecord] = []
    for trial in expansion.trials:
        record = records.get(trial.id)
        if record is None or record.status in retry or trial.id in again:
            to_do.append(trial)
        else:
            (done if record.status == "done" else failed).append(record)
    return Plan(
        to_do=tuple(to_do),
        done=tuple(done),
        failed=tuple(failed),
        dropped=expansion.dropped,
        others=len(records.keys() - expansion.ids),
    )


@dataclass(frozen=True)
class Expectation:
    """What a grid file expects of its trials. hours: of all trials, by the hardware they were measured on.

    unknown: trials of which no hours are expected. low, high: of the expected accuracies, in percent; NaN without any.
    """

    hours: Mapping[str, float]
    unknown: int
    low: float
    high: float


def expectation(trials: Sequence[Trial], expected: Sequence[Expected]) -> Expectation:
    """The sums of what the grid file expects: of each trial, by the first entry with such a number that names it."""
    hours: dict[str, float] = defaultdict(float)
    accuracies, unknown = [], 0
    for trial in trials:
        entries = [entry for entry in expected if matches(entry.when, trial.declared_levels)]
        accuracies += [entry.top1 for entry in entries if entry.top1 is not None][:1]
        timed = next((entry for entry in entries if entry.hours is not None), None)
        if timed is None or timed.hours is None:
            unknown += 1
        else:
            hours[timed.hardware] += timed.hours
    low, high = (min(accuracies), max(accuracies)) if accuracies else (math.nan, math.nan)
    return Expectation(dict(hours), unknown, low, high)

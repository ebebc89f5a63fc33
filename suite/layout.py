"""Published tables in the paper's own layout, with our runs beside each number.

A published table is the values of a claim file: their groups and rows go down, their columns across. What stands
beside a value is the mean of the runs of its cell, by the same metric; nothing is filled in where there are none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from suite import stats
from suite.budget import Budget, published_levels
from suite.contrasts import Run, failed_trials, unique_runs
from suite.published import METRICS, Value, decimals, table_name
from suite.record import AXIS_FIELDS

# What a run's record says of a metric. Other metrics are counted or measured by other commands.
_MEASURED: Mapping[str, Callable[[Run], float]] = {
    "top1": lambda run: float(run["top1"]),
    "top1_best_epoch": lambda run: float(run["top1_best_epoch"]),
    "params_millions": lambda run: float(run["params"]) / 1e6,
}
_ELSEWHERE = {
    "pe_params_thousands": "counted by `lape verify --static`",
    "train_memory_mb": "measured by `lape bench`, as a ratio: it depends on the machine",
    "train_seconds_per_epoch": "measured by `lape bench`, as a ratio: it depends on the machine",
}


@dataclass(frozen=True)
class Entry:
    """A published value and the runs of its cell.

    ours: their mean and spread, in the metric's unit. difference: ours − published. low, high: where the published mean
    of as many runs as stated (or of one) would lie with 95 %, by our runs; NaN below two runs, and at another budget.
    """

    value: Value
    ours: stats.Spread
    difference: float
    low: float
    high: float
    notes: tuple[str, ...]

    @property
    def fits(self) -> bool | None:
        """Whether the published value lies in the prediction interval; None where there is none."""
        return None if math.isnan(self.low) else self.low <= self.value.number <= self.high


@dataclass(frozen=True)
class PublishedTable:
    """A table of a paper: its entries in their order, and how the runs' budget differs from the paper's, if it does."""

    paper: str
    version: str
    number: str
    title: str
    entries: tuple[Entry, ...]
    budget: str

    @property
    def name(self) -> str:
        """Of its files: table2."""
        return "".join(part if part.isalnum() else "_" for part in table_name(self.number).lower().replace(" ", ""))

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The published columns."""
        return tuple(dict.fromkeys(entry.value.column for entry in self.entries))

    @cached_property
    def rows(self) -> dict[tuple[str, str], dict[str, Entry]]:
        """By group and row: the entry of each column that has one."""
        rows: dict[tuple[str, str], dict[str, Entry]] = {}
        for entry in self.entries:
            rows.setdefault((entry.value.group, entry.value.row), {})[entry.value.column] = entry
        return rows

    @property
    def caption(self) -> str:
        """What the table is, in a line."""
        budget = f", at a smaller budget: {self.budget}" if self.budget else ""
        return f"{self.paper} ({self.version}), {table_name(self.number)}: {self.title}{budget}"


def published_table(
    values: Sequence[Value], title: str, frame: pd.DataFrame, history: pd.DataFrame, budget: Budget | None = None
) -> PublishedTable:
    """A paper's table with the runs beside it.

    values: of one table, in its order; at least one. frame, history: as `suite.store.load_frame` and `load_history`
    give them.

    Raises:
        InputError: the frame holds two trainings under one name.
    """
    cells: dict[tuple[str, ...], list[Run]] = {}
    for run in unique_runs(frame):
        levels = published_levels({axis: str(run[axis]) for axis in AXIS_FIELDS}, budget)
        cells.setdefault(tuple(levels[axis] for axis in AXIS_FIELDS), []).append(run)
    tested = {(row[0], int(row[1])): float(row[2]) for row in history[["trial_id", "epoch", "top1"]].to_numpy()}
    first = values[0]
    return PublishedTable(
        first.paper,
        first.version,
        first.table,
        title,
        tuple(_entry(value, _runs_of(value, cells), tested, budget) for value in values),
        budget.note if budget is not None else "",
    )


def _runs_of(value: Value, cells: Mapping[tuple[str, ...], list[Run]]) -> list[Run]:
    return cells.get(tuple(getattr(value.cell, axis) for axis in AXIS_FIELDS), [])


def _entry(
    value: Value, runs: Sequence[Run], tested: Mapping[tuple[str, int], float], budget: Budget | None
) -> Entry:
    notes: list[str] = []
    measured: dict[int, float] = {}
    recipes = sorted({f"{run['recipe']} ({run['recipe_id'][:8]})" for run in runs})
    if value.not_runnable:
        notes.append(f"not measured: {value.not_runnable}")
    elif value.metric not in _MEASURED:
        notes.append(_ELSEWHERE.get(value.metric, f"not measured: {METRICS[value.metric].summary}"))
    elif budget is not None and value.metric == "params_millions":
        notes.append("another model, so that its parameters aren't compared")
    elif len(recipes) > 1:
        notes.append(f"runs of several recipes, of which no mean is taken: {', '.join(recipes)}")
    else:
        measured = _measured(value, runs, tested, budget)
        notes += _run_notes(value, runs, measured)
    ours = stats.spread(list(measured.values()))
    interval = (math.nan, math.nan)
    if budget is None and ours.n > 1:
        interval = stats.prediction_interval(list(measured.values()), published_runs=value.runs or 1)
    return Entry(value, ours, ours.mean - value.number, *interval, tuple(notes))


def _measured(
    value: Value, runs: Sequence[Run], tested: Mapping[tuple[str, int], float], budget: Budget | None
) -> dict[int, float]:
    """The metric of each seed that is done."""
    done = {int(run["seed_index"]): run for run in runs if run["status"] == "done"}
    if value.epoch is None:
        return {seed: _MEASURED[value.metric](done[seed]) for seed in sorted(done)}
    if budget is not None:  # its epochs are others
        return {}
    # Epochs are counted from 0 in the history, and from 1 in papers.
    at = {seed: tested.get((done[seed]["trial_id"], value.epoch - 1), math.nan) for seed in sorted(done)}
    return {seed: top1 for seed, top1 in at.items() if not math.isnan(top1)}


def _run_notes(value: Value, runs: Sequence[Run], measured: Mapping[int, float]) -> Iterable[str]:
    done = [run for run in runs if run["status"] == "done"]
    if failures := {int(run["seed_index"]): str(run["status"]) for run in runs if run["status"] != "done"}:
        yield failed_trials(failures, len(done))
    if value.epoch is not None and len(measured) < len(done):
        yield f"{len(done) - len(measured)} of {len(done)} runs have no accuracy at epoch {value.epoch}"
    environments = sorted({str(run["environment"]) for run in done})
    if len(environments) > 1:
        yield f"seeds ran in different environments: {'; '.join(environments)}"


def number_text(value: float, like: str) -> str:
    """A number with as many digits as the paper prints, two at least where it is a mean of percentages."""
    return f"{value:.{max(decimals(like), 0)}f}"

"""Published tables in the paper's own layout, with our result beside each number.

A published table consists of the values of a claim file, with the paper's groups, rows and columns. Our result is the
mean over the runs of the value's cell, in the same metric. Without runs, it stays empty.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from suite.grid.budget import Budget
from suite.store.record import AXIS_FIELDS
from suite.text import pair_count
from suite.verdict import stats
from suite.verdict.claims.published import Value, table_name
from suite.verdict.comparisons import Comparison, Side, side_of
from suite.verdict.metrics import METRICS
from suite.verdict.runs import Run, failed_trials, is_missing, rows_of, unique_runs

if TYPE_CHECKING:
    from suite.verdict.runs import Frame

# How to read a metric from the record of a run. Other metrics come from other commands.
_MEASURED: Mapping[str, Callable[[Run], float]] = {
    "top1": lambda run: float(run["top1"]),
    "top1_best_epoch": lambda run: float(run["top1_best_epoch"]),
    "corruption_error": lambda run: math.nan if is_missing(run["corruption_error"]) else float(run["corruption_error"]),
    "miou": lambda run: math.nan if is_missing(run.get("miou")) else float(run["miou"]),
    "params_millions": lambda run: math.nan if is_missing(run["params"]) else float(run["params"]) / 1e6,
}
_BY_BENCH = "a ratio of `lape bench`: the number itself is of the paper's machine"
_ELSEWHERE = {
    "mce": "judged by claims: it is relative to the reference of a claim",
    "pe_params_thousands": "counted by `lape verify --static`",
    "train_memory_mb": _BY_BENCH,
    "train_seconds_per_epoch": _BY_BENCH,
}

Levels = tuple[str, ...]  # the level on each axis, in the order of AXIS_FIELDS


@dataclass(frozen=True)
class Entry:
    """A published value and the runs of its cell.

    Args:
        value: the published value.
        ours: the runs, with the value's metric in the value's unit. It has no values if they can't be compared.
        prediction: the prediction interval for the published mean, from our runs; None at a smaller budget.
        notes: remarks that the reader needs to interpret the numbers.
        baseline: the entry of the same cell with the default joining method, in the same column.
    """

    value: Value
    ours: Side
    prediction: stats.Prediction | None
    notes: tuple[str, ...]
    baseline: Entry | None = None

    @cached_property
    def spread(self) -> stats.Spread:
        """The mean and standard deviation of our runs; n is 0 without runs."""
        return stats.spread(list(self.ours.values.values()))

    @cached_property
    def comparison(self) -> Comparison | None:
        """Our runs compared with those of the baseline; None without a baseline."""
        if self.baseline is None:
            return None
        return Comparison("join", self.value.cell.levels, self.value.metric, self.baseline.ours, self.ours)

    @property
    def gain(self) -> stats.PairedGain:
        """The gain of our runs over the baseline's, from pairs with the same seed; n is 0 without pairs."""
        return stats.paired_gain([]) if self.comparison is None else self.comparison.gain

    @property
    def published_gain(self) -> float:
        """The published gain over the baseline; NaN without a baseline."""
        if self.baseline is None:
            return math.nan
        return METRICS[self.value.metric].sign * (self.value.number - self.baseline.value.number)

    @property
    def difference(self) -> float:
        """The mean of our runs − the published value; NaN without runs."""
        return self.spread.mean - self.value.number

    @property
    def consistency(self) -> stats.Consistency:
        """Whether the published value is consistent with our runs."""
        if self.prediction is None:
            return "cant_say"
        return self.prediction.judge(self.value.number, float(self.value.interval.high) - self.value.number)


@dataclass(frozen=True)
class PublishedTable:
    """A table of a paper, with our runs.

    Args:
        title: the title of the table.
        entries: the values of the table, with the runs of their cells.
        budget: how our experiment is smaller than the paper's; empty if it isn't.
        together: what its tested claims say together, a sentence for each treatment.
    """

    title: str
    entries: tuple[Entry, ...]
    budget: str = ""
    together: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name of the table's files without a suffix, such as "lape_table_2"."""
        first = self.entries[0].value
        text = f"{first.paper} {table_name(first.table)}".lower()
        return "".join(letter if letter.isalnum() else "_" for letter in text)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The columns of the paper, in the paper's order."""
        return tuple(dict.fromkeys(entry.value.column for entry in self.entries))

    @cached_property
    def rows(self) -> dict[tuple[str, str], dict[str, Entry]]:
        """The entries by (group, row), and by column within a row."""
        rows: dict[tuple[str, str], dict[str, Entry]] = {}
        for entry in self.entries:
            rows.setdefault((entry.value.group, entry.value.row), {})[entry.value.column] = entry
        return rows

    @property
    def source(self) -> str:
        """Paper, version and table."""
        first = self.entries[0].value
        return f"{first.paper} ({first.version}), {table_name(first.table)}"

    @property
    def caption(self) -> str:
        """The caption: paper, version, table and title."""
        return f"{self.source}: {self.title}"


def published_table(
    values: Sequence[Value], title: str, frame: Frame, history: Frame | None, budget: Budget | None = None
) -> PublishedTable:
    """Build a table of a paper, with our runs.

    Args:
        values: the values of one table, in the paper's order; at least one.
        title: the title of the table.
        frame: the runs, as `suite.store.load_frame` returns them.
        history: their epochs, as `suite.store.load_history` returns them; None: they can't be read here.
        budget: the smaller budget of the grid; None if it has the paper's budget.

    Raises:
        InputError: the frame has two different training runs under one name.
    """
    cells: dict[Levels, list[Run]] = {}
    for run in unique_runs(frame):
        levels = [str(run[axis]) for axis in AXIS_FIELDS]
        if budget is not None:
            levels = [budget.published(axis, level) for axis, level in zip(AXIS_FIELDS, levels, strict=True)]
        cells.setdefault(tuple(levels), []).append(run)
    tested = None
    if history is not None:
        tested = {(trial_id, epoch): top1 for trial_id, epoch, top1 in rows_of(history, ("trial_id", "epoch", "top1"))}
    entries = [
        _entry(value, cells.get(tuple(getattr(value.cell, axis) for axis in AXIS_FIELDS), []), tested, budget)
        for value in values
    ]
    return PublishedTable(title, tuple(_with_baseline(entries)), budget.note if budget is not None else "")


def _with_baseline(entries: Sequence[Entry]) -> Iterator[Entry]:
    defaults = {_place(entry.value): entry for entry in entries if entry.value.cell.join == "default"}
    for entry in entries:
        baseline = None if entry.value.cell.join == "default" else defaults.get(_place(entry.value))
        told = replace(entry, baseline=baseline)
        yield replace(told, notes=(*told.notes, *_pair_notes(told)))


def _pair_notes(entry: Entry) -> Iterator[str]:
    """Notes on a gain that isn't the difference of the two printed means, or that mixes environments."""
    compared = entry.comparison
    if compared is None or not compared.treatment.values or not compared.baseline.values:
        return
    if not compared.seeds:
        yield "no gain: no seed is finished on both sides"
    elif compared.unpaired:
        yield f"the gain is of the {pair_count(len(compared.seeds))} that both sides have finished"
    if mixed := compared.environments_apart:
        yield f"the two sides of the gain ran in different environments: {'; '.join(mixed)}"
    if between := [axis for axis in compared.mixed_code if axis not in entry.ours.mixed_code]:
        yield f"the runs of the gain mix different code of {', '.join(between)}"


def _place(value: Value) -> tuple[str, ...]:
    """The key that a value shares with its baseline."""
    levels = {**value.cell.model_dump(), "join": ""}
    return (value.group, value.column, value.metric, *levels.values())


def _entry(
    value: Value, runs: Sequence[Run], tested: Mapping[tuple[str, int], float] | None, budget: Budget | None
) -> Entry:
    reason = _unmeasured(value, runs, budget)
    if not reason and tested is None and value.epoch is not None:
        reason = "the accuracies of single epochs can't be read here: pip install 'lape-suite[figures]'"
    ours = side_of(value.cell.join, runs, lambda run: math.nan if reason else _measured(value, run, tested or {}))
    notes = [reason] if reason else list(_run_notes(value, ours))
    numbers = list(ours.values.values())
    prediction = None if budget is not None else stats.prediction_interval(numbers, published_runs=value.runs or 1)
    return Entry(value, ours, prediction, tuple(notes))


def _unmeasured(value: Value, runs: Sequence[Run], budget: Budget | None) -> str:
    """The reason why our runs can't give the value's metric; empty if they can."""
    recipes = sorted({f"{run['recipe']} ({run['recipe_id'][:8]})" for run in runs})
    if value.not_runnable:
        return value.not_runnable
    if value.metric not in _MEASURED:
        return _ELSEWHERE.get(value.metric, f"not measured by runs: {METRICS[value.metric].summary}")
    if budget is not None and budget.stands_for and value.metric == "params_millions":
        return "another model: its parameters aren't those of the paper's"
    if budget is not None and value.epoch is not None:
        return f"another budget has no epoch {value.epoch} of {value.epochs}"
    return f"runs of several recipes, so that there is no mean: {', '.join(recipes)}" if len(recipes) > 1 else ""


def _measured(value: Value, run: Run, tested: Mapping[tuple[str, int], float]) -> float:
    """The value's metric of a finished run; NaN if the run wasn't tested at the value's epoch."""
    if value.epoch is None:
        return _MEASURED[value.metric](run)
    # Epochs are counted from 0 in the history, and from 1 in papers.
    return tested.get((run["trial_id"], value.epoch - 1), math.nan)


def _run_notes(value: Value, ours: Side) -> Iterator[str]:
    done = len(ours.trials)
    if ours.failures:
        yield failed_trials(ours.failures, done)
    if len(ours.values) < done:
        yield f"{done - len(ours.values)} of {done} runs weren't tested at epoch {value.epoch}"
    if ours.mixed_code:
        yield f"seeds ran with different code of {', '.join(ours.mixed_code)}"
    environments = sorted(set(ours.environments.values()))
    if len(environments) > 1:
        yield f"seeds ran in different environments: {'; '.join(environments)}"

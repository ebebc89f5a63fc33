"""Contrasts: two cells that differ in one axis, paired by seed index.

Pairs are what makes small gains visible: the two sides of a pair share initial weights and batches, so
most of what a seed does to the accuracy cancels in their difference.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from suite import stats
from suite.errors import InputError, nearest
from suite.grid.axes import is_usual, level_order
from suite.store.record import AXIS_FIELDS, FAILURES

Run = dict[str, Any]  # a row of the frame
Key = tuple[str, ...]

# What two runs must share, apart from the axis under test, to be compared: all axes and the recipe.
CELL_FIELDS = (*AXIS_FIELDS, "recipe", "recipe_id")

METRICS = ("top1", "top1_best_epoch")

_COLUMNS = [
    "trial_id", *CELL_FIELDS, "seed_index", "status", *METRICS, "params", "macs", "environment", "started_at",
    "epochs", "diverged_step", "error",
]  # fmt: skip
# A frame without these has no evidence of single test images.
_EVIDENCE = ["test_images", "correct"]


@dataclass(frozen=True)
class Side:
    """The runs of one cell. values: the metric (percent) of each finished seed; failures: seed → status.

    trials, test_images, correct: of the finished seeds, the trial id, and where the record has them the number
    of test images, and whether each was right, as `suite.store.record.pack_bits` packs it.
    """

    level: str
    values: Mapping[int, float]
    failures: Mapping[int, str]
    environments: Mapping[int, str]
    trials: Mapping[int, str]
    test_images: Mapping[int, int]
    correct: Mapping[int, str]


@dataclass(frozen=True)
class Contrast:
    """A baseline and a treatment that differ in one axis, with the gain of each pair in percentage points."""

    axis: str
    cell: Mapping[str, str]  # the other axes, the recipe's name and its id
    metric: str
    baseline: Side
    treatment: Side

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        """The seed indices that are done on both sides."""
        return tuple(sorted(self.baseline.values.keys() & self.treatment.values.keys()))

    @cached_property
    def gains(self) -> tuple[float, ...]:
        """Treatment minus baseline, seed by seed, in percentage points."""
        return tuple(self.treatment.values[seed] - self.baseline.values[seed] for seed in self.seeds)

    @cached_property
    def gain(self) -> stats.PairedGain:
        """The paired t-test of the gains."""
        return stats.paired_gain(self.gains)

    @cached_property
    def unpaired(self) -> tuple[int, ...]:
        """The seed indices that only one side has finished."""
        return tuple(sorted(self.baseline.values.keys() ^ self.treatment.values.keys()))

    @cached_property
    def environments(self) -> tuple[str, ...]:
        """The environment groups of both sides' finished runs."""
        return tuple(sorted({*self.baseline.environments.values(), *self.treatment.environments.values()}))

    @cached_property
    def mixed_environments(self) -> bool:
        """Whether the two sides of a pair (or, without pairs, the two cells) ran in different environments."""
        base, treated = self.baseline.environments, self.treatment.environments
        if not self.seeds:
            return bool(base and treated) and set(base.values()) != set(treated.values())
        return any(base[seed] != treated[seed] for seed in self.seeds)

    @cached_property
    def correlation(self) -> float:
        """Pearson's correlation of the two sides over the pairs; NaN below three pairs."""
        return stats.correlation(*([side.values[s] for s in self.seeds] for side in (self.baseline, self.treatment)))

    @property
    def label(self) -> str:
        """The contrast in one line, for people."""
        parts = [self.cell[name] for name in AXIS_FIELDS if name in self.cell and not is_usual(name, self.cell[name])]
        return f"{' '.join(parts)}: {self.treatment.level} vs {self.baseline.level}"


def contrasts(
    frame: pd.DataFrame, axis: str = "join", baseline: str = "default", metric: str = "top1"
) -> list[Contrast]:
    """Every level of `axis` against the baseline, within each set of cells that agree in all else.

    Cells whose baseline was never run give no contrast. The order is that of tables.

    Raises:
        InputError: an unknown axis or metric, or a frame that holds two trainings under one name.
    """
    for name, value, known in (("axis", axis, AXIS_FIELDS), ("metric", metric, METRICS)):
        if value not in known:
            raise InputError(f"unknown {name} {value!r}", expected=f"an {name}" if name == "axis" else "a metric",
                             found=repr(value), fix=nearest(value, known))  # fmt: skip
    others = [name for name in CELL_FIELDS if name != axis]
    groups: dict[Key, dict[str, list[Run]]] = defaultdict(lambda: defaultdict(list))
    for run in unique_runs(frame):
        groups[tuple(run[name] for name in others)][run[axis]].append(run)
    found = []
    for key, levels in groups.items():
        if baseline not in levels:
            continue
        base, cell = _side(baseline, levels[baseline], metric), dict(zip(others, key, strict=True))
        found += [
            Contrast(axis, cell, metric, base, _side(level, runs, metric))
            for level, runs in levels.items()
            if level != baseline
        ]
    return sorted(found, key=lambda one: cell_order({**one.cell, axis: one.treatment.level}))


def unique_runs(frame: pd.DataFrame) -> list[Run]:
    """The frame's rows, one per trial: a finished run before a failed one, then the latest.

    A row has the columns that tables and verdicts need, and no others.

    Raises:
        InputError: two different trainings (trial ids) have the same axes, recipe and seed. Their rows
            would be averaged and paired as if they were one, so the frame can't be used. Or a finished run
            has no accuracy, or one that is no percentage.
    """
    trials: dict[str, Run] = {}
    columns = [*_COLUMNS, *(name for name in _EVIDENCE if name in frame)]
    for values in zip(*(frame[name].tolist() for name in columns), strict=True):
        run: Run = dict(zip(columns, values, strict=True))
        other = trials.get(run["trial_id"])
        if other is None or _precedence(run) >= _precedence(other):
            trials[run["trial_id"]] = run
    names: dict[Key, str] = {}
    for trial_id, kept in trials.items():
        _check_accuracies(kept)
        name = tuple(str(kept[field]) for field in (*CELL_FIELDS, "seed_index"))
        first = names.setdefault(name, trial_id)
        if first != trial_id:
            raise InputError(
                "two different trainings under one name",
                expected="one trial for each cell and seed",
                found=f"trials {first} and {trial_id}, both {' '.join(name[:-2])}, seed {name[-1]}",
                where="runs.jsonl",
                fix="keep the runs of one definition: an architecture of that name has changed in between",
            )
    return list(trials.values())


def recipe_ids_tell(cells: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a recipe's name stands for several trainings on one data set, so that only the ids tell them apart.

    Of two data sets the ids always differ: they are made of the data too.
    """
    ids: dict[tuple[str, str], str] = {}
    return any(
        ids.setdefault((cell["dataset"], cell["recipe"]), cell["recipe_id"]) != cell["recipe_id"] for cell in cells
    )


def cell_order(cell: Mapping[str, Any]) -> tuple[tuple[int, str], ...]:
    """The place of a cell in tables: by data set, architecture, PE, norm and loss, recipe, and joins last."""
    names = ("dataset", "arch", "recipe", "recipe_id", "pe", "norm", "loss", "join")
    return tuple(level_order(name, str(cell[name])) for name in names if name in cell)


def points(value: float) -> str:
    """A gain with its sign, for people: +0.31, −0.05, 0.00; a dash for NaN."""
    if math.isnan(value):
        return "–"
    text = f"{value:+.2f}".replace("-", "−")
    return text[1:] if text[1:] == "0.00" else text


def seed_list(seeds: Iterable[int]) -> str:
    """Seed 3; seeds 1, 2, 3."""
    listed = [str(seed) for seed in sorted(seeds)]
    return f"seed{'s' if len(listed) > 1 else ''} {', '.join(listed)}"


def pair_count(n: int) -> str:
    """No pairs; 1 pair; 3 pairs."""
    return "no pairs" if n == 0 else "1 pair" if n == 1 else f"{n} pairs"


def failed_trials(failures: Mapping[int, str], done: int) -> str:
    """The failures (seed index → status) of a cell, of which `done` trials finished, in words."""
    counts = Counter(failures.values())
    listed = ", ".join(f"{counts[status]} {status}" for status in FAILURES if counts[status])
    return f"{len(failures)} of {done + len(failures)} trials failed ({listed}; {seed_list(failures)})"


def _precedence(run: Run) -> tuple[bool, str, str]:
    # Two runs of one second are told apart by what they hold, never by the order of the rows.
    return run["status"] == "done", str(run["started_at"]), str(sorted(run.items()))


def _check_accuracies(run: Run) -> None:
    for name in METRICS:
        if run["status"] == "done" and (pd.isna(run[name]) or not 0 <= run[name] <= 100):
            raise InputError(
                f"a finished run has no {name} to compare",
                expected="a percentage, from 0 to 100",
                found=str(run[name]),
                where=f"runs.jsonl, trial {run['trial_id']}",
                fix="restore its record from version control, or delete it: the trial then runs again",
            )


def _side(level: str, runs: Sequence[Run], metric: str) -> Side:
    done = {int(run["seed_index"]): run for run in sorted(runs, key=lambda run: int(run["seed_index"]))
            if run["status"] == "done"}  # fmt: skip
    return Side(
        level,
        {seed: float(run[metric]) for seed, run in done.items()},
        {int(run["seed_index"]): str(run["status"]) for run in runs if run["status"] != "done"},
        {seed: str(run["environment"]) for seed, run in done.items()},
        {seed: str(run["trial_id"]) for seed, run in done.items()},
        {seed: int(run["test_images"]) for seed, run in done.items() if not pd.isna(run.get("test_images"))},
        {seed: run["correct"] for seed, run in done.items() if isinstance(run.get("correct"), str)},
    )

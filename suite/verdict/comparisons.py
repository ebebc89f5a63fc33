"""Contrasts: two cells that differ in one axis, paired by seed index.

Pairs are what makes small gains visible: the two sides of a pair share initial weights and batches, so
most of what a seed does to the accuracy cancels in their difference.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from suite.errors import unknown
from suite.grid.axes import is_usual
from suite.store.record import AXIS_FIELDS
from suite.verdict import stats
from suite.verdict.runs import CELL_FIELDS, METRICS, Key, Run, cell_order, unique_runs


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
            raise unknown(name, value, known)
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

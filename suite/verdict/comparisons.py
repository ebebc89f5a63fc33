"""Comparisons: two cells that differ in one axis, paired by seed index.

Pairs make small gains visible. The two sides of a pair share initial weights and batches, so that most of what a seed
does to the accuracy cancels in their difference.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from suite.errors import InputError, unknown
from suite.grid.axes import is_usual
from suite.grid.settings import SETTINGS
from suite.store.record import AXIS_FIELDS
from suite.verdict import stats
from suite.verdict.chosen import chosen_level
from suite.verdict.code import mixed_code
from suite.verdict.corrupted import CorruptedEvidence, corrupted_evidence
from suite.verdict.grouped import RegionEvidence, region_evidence
from suite.verdict.metrics import MEASURED, Metric, Reference, metric_of
from suite.verdict.runs import CELL_FIELDS, Key, Run, cell_order, is_missing, unique_runs
from suite.verdict.segmented import SegmentationEvidence, segmentation_evidence
from suite.verdict.setting_levels import level_of, setting_level, setting_order, without_settings

if TYPE_CHECKING:
    from suite.verdict.runs import Frame


@dataclass(frozen=True)
class Side:
    """The runs of one cell, by seed index.

    Args:
        level: the cell's level on the axis that differs.
        values: the metric of each finished seed, in percent.
        failures: the status of each seed that failed.
        environments: the environment group of each finished seed.
        trials: the trial id of each finished seed.
        test_images: the number of test images, where the record has it.
        correct: which test images were right, as `suite.store.record.pack_bits` packs it, where the record has it.
        code: the fingerprints of the levels' code by axis, as JSON, where the record has them.
        last: top-1 of the last epoch of each finished seed, in percent.
        machine_faults: the failed seeds whose failure was the machine's, and not the training's.
        corrupted: for each finished seed that was tested on corrupted images, the evidence of it.
        segmented: for each finished seed of a segmentation, the evidence of its test.
        grouped: for each finished seed that groups patches into regions, the evidence of its test.
        settings: recipe and sizes, as the frame's column `settings` has them; empty if it has none.
        chosen: the axis and level that were chosen for it by validation (see `suite.verdict.chosen`); empty if none.
    """

    level: str
    values: Mapping[int, float]
    failures: Mapping[int, str]
    environments: Mapping[int, str]
    trials: Mapping[int, str]
    test_images: Mapping[int, int]
    correct: Mapping[int, str]
    code: Mapping[int, str] = field(default_factory=dict)

    @cached_property
    def mixed_code(self) -> tuple[str, ...]:
        """The axes whose level had different code in some of the finished runs."""
        return mixed_code(self.code.values())

    last: Mapping[int, float] = field(default_factory=dict)
    machine_faults: frozenset[int] = frozenset()
    corrupted: Mapping[int, CorruptedEvidence] = field(default_factory=dict)
    segmented: Mapping[int, SegmentationEvidence] = field(default_factory=dict)
    grouped: Mapping[int, RegionEvidence] = field(default_factory=dict)
    settings: str = ""
    chosen: str = ""

    @property
    def name(self) -> str:
        """The level, and with it the level that was chosen for it by validation."""
        axis, level = chosen_level(self.chosen)
        return f"{self.level} ({SETTINGS[axis].key} {level})" if axis else self.level


@dataclass(frozen=True)
class Comparison:
    """A baseline and a treatment that differ in one axis, with the gain of each pair in percentage points.

    A gain is positive if the treatment is better: of an error, if its error is lower.

    Args:
        axis: the axis that differs.
        cell: the levels of the other axes, the recipe's name and its id.
        metric: the name of the metric that is compared.
        baseline: the side to beat.
        treatment: the side that may gain.
        only: the seed indices of the pairs that count, in their order; None: of all pairs, in rising order.
        epoch: the epoch that the metric is of, counted from 1; None: the last one (or the best one).
        tied: if the axis is a setting: the settings that differ along with it.
        reference: the errors that a mean corruption error is relative to.
    """

    axis: str
    cell: Mapping[str, str]
    metric: str
    baseline: Side
    treatment: Side
    only: tuple[int, ...] | None = None
    epoch: int | None = None
    tied: tuple[str, ...] = ()
    reference: Reference | None = None

    @property
    def measured(self) -> Metric:
        """The metric that is compared."""
        return metric_of(self.metric)

    def accuracies(self, side: Side) -> Mapping[int, float]:
        """The accuracy of each finished seed in percent: the metric, or else top-1 of the last epoch."""
        return side.values if self.measured.better == "higher" else side.last

    def level(self, name: str) -> str:
        """The level that both sides share on another axis, on a setting, or of the recipe's name."""
        if name in self.cell:
            return self.cell[name]
        return level_of(self.baseline.settings, name) if self.baseline.settings else ""

    @cached_property
    def unshared(self) -> str:
        """What the two sides of a pair don't share because of the settings that they differ in; empty if nothing."""
        chosen, other = (chosen_level(side.chosen) for side in (self.baseline, self.treatment))
        apart = [chosen[0]] if chosen != other else []
        told = {SETTINGS[name].unshared: name for name in (self.axis, *self.tied, *apart) if name in SETTINGS}
        return "; ".join(f"{text} ({name})" for text, name in told.items() if text)

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        """The seed indices that are done on both sides, as far as they count."""
        if self.only is not None:
            return self.only
        return tuple(sorted(self.baseline.values.keys() & self.treatment.values.keys()))

    @cached_property
    def gains(self) -> tuple[float, ...]:
        """By how much the treatment is better than the baseline, seed by seed, in percentage points."""
        sign = self.measured.sign
        return tuple(sign * (self.treatment.values[seed] - self.baseline.values[seed]) for seed in self.seeds)

    @cached_property
    def gain(self) -> stats.PairedGain:
        """The paired t-test of the gains."""
        return stats.paired_gain(self.gains)

    @cached_property
    def means(self) -> tuple[float, float]:
        """The metric of the baseline and of the treatment, means over the pairs."""
        base, treated = (
            stats.spread([side.values[seed] for seed in self.seeds]).mean for side in (self.baseline, self.treatment)
        )
        return base, treated

    @cached_property
    def of_last_epoch(self) -> bool:
        """Whether the metric is that of the last epoch: by definition, or because the best epoch is the last of all."""
        return (self.measured.of_last_epoch and self.epoch is None) or all(
            side.last.get(seed) == side.values[seed] for side in (self.baseline, self.treatment) for seed in self.seeds
        )

    @cached_property
    def unpaired(self) -> tuple[int, ...]:
        """The seed indices that only one side has finished."""
        return tuple(sorted(self.baseline.values.keys() ^ self.treatment.values.keys()))

    @cached_property
    def environments(self) -> tuple[str, ...]:
        """The environment groups of both sides' finished runs."""
        return tuple(sorted({*self.baseline.environments.values(), *self.treatment.environments.values()}))

    @cached_property
    def environments_apart(self) -> tuple[str, ...]:
        """The environment groups of the pairs whose two sides ran in different ones."""
        base, treated = self.baseline.environments, self.treatment.environments
        pairs = ({base[seed], treated[seed]} for seed in self.seeds)
        return tuple(sorted({name for pair in pairs if len(pair) > 1 for name in pair}))

    @cached_property
    def mixed_environments(self) -> bool:
        """Whether the two sides of a pair (or, without pairs, the two cells) ran in different environments."""
        base, treated = self.baseline.environments, self.treatment.environments
        if not self.seeds:
            return bool(base and treated) and set(base.values()) != set(treated.values())
        return bool(self.environments_apart)

    @cached_property
    def mixed_code(self) -> tuple[str, ...]:
        """The axes whose level had different code in some finished runs: within a side, or between the two."""
        between = mixed_code([*self.baseline.code.values(), *self.treatment.code.values()], but=self.axis)
        return tuple(dict.fromkeys([*self.baseline.mixed_code, *self.treatment.mixed_code, *between]))

    @cached_property
    def correlation(self) -> float:
        """Pearson's correlation of the two sides over the pairs; NaN below three pairs."""
        return stats.correlation(*([side.values[s] for s in self.seeds] for side in (self.baseline, self.treatment)))

    @property
    def label(self) -> str:
        """The comparison in one line."""
        parts = [self.cell[name] for name in AXIS_FIELDS if name in self.cell and not is_usual(name, self.cell[name])]
        named = f"{SETTINGS[self.axis].key} " if self.axis in SETTINGS else ""
        return f"{' '.join(parts)}: {named}{self.treatment.name} vs {self.baseline.name}"


def comparisons(
    frame: Frame,
    axis: str = "join",
    baseline: str = "default",
    metric: str = "top1",
    at_epoch: tuple[int, Mapping[str, float]] | None = None,
    tied: Sequence[str] = (),
    reference: Reference | None = None,
) -> list[Comparison]:
    """Every level of `axis` compared with the baseline, within each set of cells that agree in all else.

    Cells whose baseline was never run give no comparison. The order is that of tables.

    Args:
        frame: the runs.
        axis: the axis, or a setting (`recipe.epochs`, `size.depth`).
        baseline: the level to beat; of a setting its value as text.
        metric: the name of the metric that is compared; see `suite.verdict.metrics.MEASURED`.
        at_epoch: an epoch (counted from 1) and top-1 in it by trial id, in percent, in place of the metric of the
            whole run; runs without it are left out.
        tied: if the axis is a setting: the settings that differ along with it.
        reference: the errors that a mean corruption error is relative to.

    Raises:
        InputError: an unknown axis or metric, or a frame that holds two training runs under one name.
    """
    for name, value, known in (("axis", axis, (*AXIS_FIELDS, *SETTINGS)), ("metric", metric, MEASURED)):
        if value not in known:
            raise unknown(name, value, known)
    others = [name for name in CELL_FIELDS if name != axis]
    groups: dict[Key, dict[str, list[Run]]] = defaultdict(lambda: defaultdict(list))
    for run in unique_runs(frame):
        cell_of = without_settings(run, (axis, *tied)) if axis in SETTINGS else run
        level = setting_level(run, axis) if axis in SETTINGS else run[axis]
        groups[tuple(cell_of[name] for name in others)][level].append(run)

    read = MEASURED[metric].read

    def value_of(run: Run) -> float:
        if at_epoch is not None:
            return at_epoch[1].get(run["trial_id"], math.nan)
        return math.nan if read is None else read(run, reference)

    found = []
    for key, levels in groups.items():
        if baseline not in levels:
            continue
        base, cell = side_of(baseline, levels[baseline], value_of), dict(zip(others, key, strict=True))
        found += [
            Comparison(
                axis,
                cell,
                metric,
                base,
                side_of(level, runs, value_of),
                tied=tuple(tied),
                epoch=None if at_epoch is None else at_epoch[0],
                reference=reference,
            )
            for level, runs in levels.items()
            if level != baseline
        ]
    return sorted(found, key=lambda one: (cell_order({**one.cell, axis: one.treatment.level}), _last(one)))


def _last(comparison: Comparison) -> tuple[float, str]:
    """The order of comparisons that differ only in the treatment's level on a setting."""
    return setting_order(comparison.treatment.level) if comparison.axis in SETTINGS else (0.0, "")


def side_of(level: str, runs: Sequence[Run], value_of: Callable[[Run], float]) -> Side:
    """The runs of one cell as a side. value_of: a finished run's metric; a run with NaN is left out."""
    numbered = {int(run["seed_index"]): run for run in sorted(runs, key=lambda run: int(run["seed_index"]))}
    if len(numbered) < len(runs):
        raise InputError(
            f"several runs of one seed at the level {level}",
            expected="runs of a side that differ in their seed alone",
            found=", ".join(str(run["trial_id"]) for run in runs),
            where="runs.jsonl",
            fix="compare levels of a single axis; of settings that a zip ties, name the others as `tied`",
        )
    failures = {seed: str(run["status"]) for seed, run in numbered.items() if run["status"] != "done"}
    done = {seed: run for seed, run in numbered.items() if seed not in failures}
    values = {seed: value for seed, run in done.items() if not math.isnan(value := value_of(run))}
    images: dict[int, Any] = {seed: run.get("test_images") for seed, run in done.items()}
    return Side(
        level,
        values,
        failures,
        environments={seed: str(run["environment"]) for seed, run in done.items()},
        trials={seed: str(run["trial_id"]) for seed, run in done.items()},
        test_images={seed: int(number) for seed, number in images.items() if not is_missing(number)},
        correct={seed: run["correct"] for seed, run in done.items() if isinstance(run.get("correct"), str)},
        code={seed: run["code"] for seed, run in done.items() if isinstance(run.get("code"), str)},
        last={seed: float(run["top1"]) for seed, run in done.items() if not is_missing(run.get("top1"))},
        machine_faults=frozenset(seed for seed in failures if _is_true(numbered[seed].get("machine_fault"))),
        corrupted={seed: kept for seed, run in done.items() if (kept := corrupted_evidence(run)) is not None},
        segmented={seed: own for seed, run in done.items() if (own := segmentation_evidence(run)) is not None},
        grouped={seed: of for seed, run in done.items() if (of := region_evidence(run)) is not None},
        settings=_first(done.values(), "settings"),
        chosen=_first(done.values(), "chosen"),
    )


def _first(runs: Iterable[Run], name: str) -> str:
    return next((run[name] for run in runs if isinstance(run.get(name), str)), "")


def _is_true(value: Any) -> bool:
    return not is_missing(value) and bool(value)

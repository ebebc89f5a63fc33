"""Main effects and interactions of methods that a grid combines, and whether their gains add up.

If a grid trains combinations of joins, norms or losses, the cells that are equal in everything else form a factorial
design. Each effect is a contrast of cells, computed separately for each seed, so that seed effects shared by all cells
cancel. The per-seed values are tested with a t-test, like the gains of a claim. docs/interactions.md gives the reasons
and the simulated error rates.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Literal, get_args

from suite.grid.axes import METHODS, level_order
from suite.grid.schema import Interactions
from suite.verdict import stats
from suite.verdict.code import mixed_levels
from suite.verdict.runs import CELL_FIELDS, Run, cell_order, unique_runs
from suite.verdict.stats.blocked import Interval, Levels, Weights, blocked_model

if TYPE_CHECKING:
    from suite.verdict.runs import Frame

USUAL = Interactions()
FACTORS = METHODS  # the axes whose effects and sums are computed

Word = Literal["positive", "negative", "can't tell", "not tested"]
SumWord = Literal["adds up", "less than the sum", "more than the sum", "can't tell", "not tested"]
WORDS: tuple[Word, ...] = get_args(Word)
SUM_WORDS: tuple[SumWord, ...] = get_args(SumWord)


@dataclass(frozen=True)
class Effect:
    """A main effect (one level) or an interaction (two or three levels), in percentage points.

    Levels are compared with the reference level of their axis. A main effect is the gain of a level, averaged over the
    levels of the other axes. A two-way interaction is the gain of one level in the presence of the other, minus its
    gain at the other's reference. A three-way interaction is the same difference between two two-way interactions.

    Args:
        levels: the level of each axis that takes part.
        seeds: the seeds that all cells of the contrast have.
        gain: the effect over these seeds, with its t-test.
        p_adjusted: the two-sided p-value, by Holm's method over all effects of the frame.
        pooled: the same effect estimated by the blocked model (see `blocked_model`), as a check.
        missing: the cells of the contrast without a finished run. If there are any, the effect isn't estimated.
    """

    levels: Mapping[str, str]
    seeds: tuple[int, ...]
    gain: stats.PairedGain
    p_adjusted: float
    pooled: Interval | None
    missing: tuple[Levels, ...]
    alpha: float

    @cached_property
    def p(self) -> float:
        """The two-sided p-value, not adjusted."""
        return two_sided(self.gain)

    @property
    def order(self) -> int:
        """The number of axes: 1 for a main effect, 2 or 3 for an interaction."""
        return len(self.levels)

    @property
    def word(self) -> Word:
        """The verdict on the effect, from its adjusted p-value."""
        if not testable(self.gain, self.alpha):
            return "not tested"
        if not self.p_adjusted < self.alpha:
            return "can't tell"
        return "positive" if self.gain.mean > 0 else "negative"

    @property
    def smallest(self) -> float:
        """The smallest effect (points) that these seeds detect with 80 % power, for a single test and this spread."""
        return stats.smallest_gain(self.gain.n, self.gain.sd, self.alpha / 2)


@dataclass(frozen=True)
class Sum:
    """A combination of methods: its gain, compared with the sum of the gains of each method alone, in points.

    Gains are over the reference cell. P-values are adjusted with Holm's method over all combinations of the frame.

    Args:
        levels: the level of each axis whose methods are combined.
        predicted: the sum of the gains of each method alone.
        observed: the gain of the combination.
        difference: observed − predicted, computed for each seed.
        p_adjusted: the two-sided p-value against a difference of zero.
        p_equivalent: the p-value of the equivalence test (TOST) that the difference is within `margin`.
        missing: the cells without a finished run. If there are any, the difference isn't estimated.
        margin: the largest difference that counts as none.
    """

    levels: Mapping[str, str]
    seeds: tuple[int, ...]
    predicted: float
    observed: float
    difference: stats.PairedGain
    p_adjusted: float
    p_equivalent: float
    missing: tuple[Levels, ...]
    margin: float
    alpha: float

    @property
    def word(self) -> SumWord:
        """Whether the gains add up. A difference within the margin counts as none, even if it is significant."""
        if not testable(self.difference, self.alpha):
            return "not tested"
        if self.p_equivalent < self.alpha:
            return "adds up"
        if self.p_adjusted < self.alpha:
            return "less than the sum" if self.difference.mean < 0 else "more than the sum"
        return "can't tell"


@dataclass(frozen=True)
class Factorial:
    """The cells of a grid that differ only in their methods.

    Args:
        cell: the levels that all cells share, by axis.
        axes: the axes of the methods, with their levels; the reference level is first.
        values: top-1 (percent) of the finished runs, by cell and seed.
        environments: the environments of these runs.
        mixed_code: the levels that had different code in some of these runs, such as "join lape".
    """

    cell: Mapping[str, str]
    axes: Mapping[str, Levels]
    values: Mapping[Levels, Mapping[int, float]]
    environments: tuple[str, ...]
    mixed_code: tuple[str, ...] = ()
    effects: tuple[Effect, ...] = ()
    sums: tuple[Sum, ...] = ()

    @property
    def cells(self) -> list[Levels]:
        """All cells: every combination of the axes' levels."""
        return list(itertools.product(*self.axes.values()))

    @property
    def reference(self) -> Levels:
        """The cell without any of the methods."""
        return tuple(levels[0] for levels in self.axes.values())

    @property
    def missing(self) -> list[Levels]:
        """The combinations without a finished run."""
        return [cell for cell in self.cells if not self.values.get(cell)]

    @property
    def incomplete(self) -> Mapping[int, list[Levels]]:
        """Seeds that only some cells have, with the cells that lack them. Cells without any run are ignored."""
        have = [cell for cell in self.cells if self.values.get(cell)]
        seeds = sorted({seed for cell in have for seed in self.values[cell]})
        lacking = {seed: [cell for cell in have if seed not in self.values[cell]] for seed in seeds}
        return {seed: cells for seed, cells in lacking.items() if cells}

    def named(self, levels: Levels) -> Mapping[str, str]:
        """A cell's methods by axis, without the levels that are the reference."""
        return {axis: level for axis, level, usual in zip(self.axes, levels, self.reference, strict=True)
                if level != usual}  # fmt: skip


def factorials(frame: Frame, test: Interactions = USUAL) -> list[Factorial]:
    """The factorials of a frame's runs, in the order of the tables, with their effects and sums.

    Cells belong to one factorial if they have the same data set, architecture, PE and recipe. A level takes part if at
    least one cell combines it with a level of another axis. The reference of an axis is its first registered level.
    Missing values aren't imputed: an effect that needs a cell without finished runs isn't estimated.

    Raises:
        InputError: in the same cases as `suite.verdict.runs.unique_runs`.
    """
    common = [name for name in CELL_FIELDS if name not in FACTORS]
    groups: dict[Levels, list[Run]] = defaultdict(list)
    for run in unique_runs(frame):
        groups[tuple(str(run[name]) for name in common)].append(run)
    found = [
        Factorial(dict(zip(common, key, strict=True)), axes, *_values(axes, runs))
        for key, runs in groups.items()
        if (axes := _axes(runs))
    ]
    return analysed(sorted(found, key=lambda one: cell_order(one.cell)), test)


def analysed(found: Sequence[Factorial], test: Interactions = USUAL) -> list[Factorial]:
    """The factorials with their effects and sums. P-values are adjusted over all factorials together."""
    effects = [list(_effects(one, test.alpha)) for one in found]
    sums = [list(_sums(one, test.margin, test.alpha)) for one in found]
    return [
        replace(one, effects=tuple(its), sums=tuple(added))
        for one, its, added in zip(found, _adjusted_effects(effects), _adjusted_sums(sums), strict=True)
    ]


def testable(gain: stats.PairedGain, alpha: float) -> bool:
    """Whether this number of seeds could give any two-sided p-value below alpha."""
    return stats.can_reach(alpha / 2, gain.n, identical=gain.identical)


def two_sided(gain: stats.PairedGain) -> float:
    """The two-sided p-value of the test that the mean gain is zero."""
    return min(1.0, 2 * min(gain.p_greater, gain.p_less))


def _axes(runs: Sequence[Run]) -> dict[str, Levels]:
    """The axes, each with the levels that are combined with another axis; empty if nothing is combined."""
    cells = {tuple(str(run[axis]) for axis in FACTORS) for run in runs}
    levels = [
        sorted({cell[place] for cell in cells}, key=partial(level_order, axis)) for place, axis in enumerate(FACTORS)
    ]
    reference = tuple(its[0] for its in levels)
    combined = [cell for cell in cells if sum(a != b for a, b in zip(cell, reference, strict=True)) > 1]
    return {
        axis: tuple(kept)
        for place, axis in enumerate(FACTORS)
        if len(kept := [level for level in levels[place]
                        if level == reference[place] or any(cell[place] == level for cell in combined)]) > 1
    }  # fmt: skip


def _values(
    axes: Mapping[str, Levels], runs: Sequence[Run]
) -> tuple[dict[Levels, dict[int, float]], tuple[str, ...], tuple[str, ...]]:
    """Top-1 of the finished runs by cell and seed, the runs' environments, and levels with different code in them.

    Only runs at the reference level of all other axes are used.
    """
    others = {
        axis: min((str(run[axis]) for run in runs), key=partial(level_order, axis))
        for axis in FACTORS
        if axis not in axes
    }
    values: dict[Levels, dict[int, float]] = {cell: {} for cell in itertools.product(*axes.values())}
    used: list[Run] = []
    for run in runs:
        cell = tuple(str(run[axis]) for axis in axes)
        if run["status"] == "done" and cell in values and all(run[axis] == level for axis, level in others.items()):
            values[cell][int(run["seed_index"])] = float(run["top1"])
            used.append(run)
    ordered = {cell: dict(sorted(its.items())) for cell, its in values.items()}
    return ordered, tuple(sorted({str(run["environment"]) for run in used})), mixed_levels(used)


def effect_weights(axes: Mapping[str, Levels], levels: Mapping[str, str]) -> dict[Levels, float]:
    """The contrast of an effect: the weight of each cell.

    For an axis in `levels`, the level has the weight +1 and the reference −1. Other axes are averaged over all levels.
    A cell's weight is the product over the axes.
    """
    parts: list[dict[str, float]] = []
    for axis, known in axes.items():
        if axis in levels:
            parts.append({known[0]: -1.0, levels[axis]: 1.0})
        else:
            parts.append(dict.fromkeys(known, 1 / len(known)))
    return {
        tuple(level for level, _ in combination): math.prod(weight for _, weight in combination)
        for combination in itertools.product(*(part.items() for part in parts))
    }


def _effects(factorial: Factorial, alpha: float) -> Iterator[Effect]:
    fitted = blocked_model(factorial.values)
    for order in range(1, len(factorial.axes) + 1):
        for chosen in itertools.combinations(factorial.axes, order):
            for levels in itertools.product(*(factorial.axes[axis][1:] for axis in chosen)):
                named = dict(zip(chosen, levels, strict=True))
                weights = effect_weights(factorial.axes, named)
                seeds, values, missing = _by_seed(factorial.values, weights)
                pooled = None if missing or fitted is None else fitted.interval(weights)
                yield Effect(named, seeds, stats.paired_gain(values), math.nan, pooled, missing, alpha)


def _by_seed(
    values: Mapping[Levels, Mapping[int, float]], weights: Weights
) -> tuple[tuple[int, ...], list[float], tuple[Levels, ...]]:
    """The seeds that all cells of a contrast have, its value for each, and its cells without any run."""
    cells = [cell for cell, weight in weights.items() if weight]
    missing = tuple(cell for cell in cells if not values.get(cell))
    if missing:
        return (), [], missing
    seeds = tuple(sorted(set.intersection(*(set(values[cell]) for cell in cells))))
    return seeds, [math.fsum(weights[cell] * values[cell][seed] for cell in cells) for seed in seeds], ()


def _adjusted_effects(found: Sequence[Sequence[Effect]]) -> list[list[Effect]]:
    tested = [effect for its in found for effect in its if testable(effect.gain, effect.alpha)]
    adjusted = {id(e): p for e, p in zip(tested, stats.holm([e.p for e in tested]), strict=True)}
    return [[replace(effect, p_adjusted=adjusted.get(id(effect), math.nan)) for effect in its] for its in found]


def _sums(factorial: Factorial, margin: float, alpha: float) -> Iterator[Sum]:
    reference = factorial.reference
    for cell in sorted(factorial.cells, key=lambda cell: len(factorial.named(cell))):
        named = factorial.named(cell)
        if len(named) < 2:
            continue
        singles = [
            tuple(level if place == kept else usual
                  for place, (level, usual) in enumerate(zip(cell, reference, strict=True)))
            for kept, (level, usual) in enumerate(zip(cell, reference, strict=True))
            if level != usual
        ]  # fmt: skip
        predicted = {**dict.fromkeys(singles, 1.0), reference: -float(len(singles))}
        difference = {cell: 1.0, **dict.fromkeys(singles, -1.0), reference: len(singles) - 1.0}
        seeds, values, missing = _by_seed(factorial.values, difference)
        alone, together = (
            _mean([math.fsum(weight * factorial.values[part][seed] for part, weight in weights.items())
                   for seed in seeds])
            for weights in (predicted, {cell: 1.0, reference: -1.0})
        )  # fmt: skip
        equivalent = stats.equivalence(values, 0.0, margin)
        gain = stats.paired_gain(values)
        yield Sum(named, seeds, alone, together, gain, math.nan, equivalent, missing, margin, alpha)


def _adjusted_sums(found: Sequence[Sequence[Sum]]) -> list[list[Sum]]:
    tested = [one for its in found for one in its if testable(one.difference, one.alpha)]
    differ = stats.holm([two_sided(one.difference) for one in tested])
    equal = stats.holm([one.p_equivalent for one in tested])
    adjusted = {id(one): both for one, *both in zip(tested, differ, equal, strict=True)}
    nothing = [math.nan, math.nan]
    return [
        [
            replace(one, p_adjusted=adjusted.get(id(one), nothing)[0], p_equivalent=adjusted.get(id(one), nothing)[1])
            for one in its
        ]
        for its in found
    ]


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan

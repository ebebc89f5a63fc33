"""Main effects and interactions of methods that a grid combines, and whether their gains add up.

Wherever a grid trains combinations of joins, norms or losses, the cells that agree in all else form a factorial. Each
of its effects is a contrast of cells, computed seed by seed, so that what a seed does to all cells cancels; the seeds'
values are tested by t, as the gains of a claim are. docs/interactions.md says why, and how often it errs.
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
from suite.verdict.runs import CELL_FIELDS, Run, cell_order, unique_runs
from suite.verdict.stats.blocked import Interval, Levels, Weights, blocked_model

if TYPE_CHECKING:
    from suite.verdict.runs import Frame

USUAL = Interactions()
FACTORS = METHODS  # the axes: those whose effects and sums are asked for

Word = Literal["positive", "negative", "can't tell", "not tested"]
SumWord = Literal["adds up", "less than the sum", "more than the sum", "can't tell", "not tested"]
WORDS: tuple[Word, ...] = get_args(Word)
SUM_WORDS: tuple[SumWord, ...] = get_args(SumWord)


@dataclass(frozen=True)
class Effect:
    """A main effect (one level), or an interaction (several), in points, against the reference level of each axis.

    A main effect is the gain of a level, a mean over the levels of the other axes. An interaction is by how much that
    gain is larger with the other level than with its reference; of three, by how much that difference is.

    levels: axis → level. gain: over the seeds that all its cells have. p, p_adjusted: two-sided; by Holm over all
    effects of the frame. pooled: the same effect by the blocked model (see `blocked_model`), a check. missing: the
    cells without a finished run that it takes; with any, there is no gain.
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
        """Two-sided."""
        return two_sided(self.gain)

    @property
    def order(self) -> int:
        """1 of a main effect, 2 and 3 of interactions."""
        return len(self.levels)

    @property
    def word(self) -> Word:
        """What the runs say of it."""
        if not testable(self.gain, self.alpha):
            return "not tested"
        if not self.p_adjusted < self.alpha:
            return "can't tell"
        return "positive" if self.gain.mean > 0 else "negative"

    @property
    def smallest(self) -> float:
        """The smallest effect (points) that so many seeds show at 80 % power, tested alone, with this spread."""
        return stats.smallest_gain(self.gain.n, self.gain.sd, self.alpha / 2)


@dataclass(frozen=True)
class Sum:
    """A combination of methods: its gain over the reference cell, beside the sum of what each gains alone, in points.

    levels: axis → level, of the methods that are combined. difference: observed − predicted, seed by seed.
    p_adjusted: of the difference being zero, two-sided. p_equivalent: of its being `margin` or more (TOST). Both by
    Holm, over all combinations of the frame. missing: as of `Effect`.
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
        """Whether the gains add up. A difference within the margin is none, significant or not."""
        if not testable(self.difference, self.alpha):
            return "not tested"
        if self.p_equivalent < self.alpha:
            return "adds up"
        if self.p_adjusted < self.alpha:
            return "less than the sum" if self.difference.mean < 0 else "more than the sum"
        return "can't tell"


@dataclass(frozen=True)
class Factorial:
    """The cells of a grid that differ in their methods alone.

    cell: what they share. axes: the methods' axes with their levels, the reference first. values: top-1 (percent) of
    the finished runs, cell → seed → value. environments: of those runs.
    """

    cell: Mapping[str, str]
    axes: Mapping[str, Levels]
    values: Mapping[Levels, Mapping[int, float]]
    environments: tuple[str, ...]
    effects: tuple[Effect, ...] = ()
    sums: tuple[Sum, ...] = ()

    @property
    def cells(self) -> list[Levels]:
        """All combinations of the levels."""
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
        """Seeds that some cells have and others lack, with the cells that lack them; cells without any run aside."""
        have = [cell for cell in self.cells if self.values.get(cell)]
        seeds = sorted({seed for cell in have for seed in self.values[cell]})
        lacking = {seed: [cell for cell in have if seed not in self.values[cell]] for seed in seeds}
        return {seed: cells for seed, cells in lacking.items() if cells}

    def named(self, levels: Levels) -> Mapping[str, str]:
        """A cell's methods by axis, those that are a reference left out."""
        return {axis: level for axis, level, usual in zip(self.axes, levels, self.reference, strict=True)
                if level != usual}  # fmt: skip


def factorials(frame: Frame, test: Interactions = USUAL) -> list[Factorial]:
    """The factorials of a frame's runs, in the order of tables, with their effects and sums.

    Cells belong together if they agree in data set, architecture, PE and recipe. A level takes part if some cell
    combines it with a level of another axis; the reference of an axis is its first level in order of registration.
    Nothing is imputed: an effect that takes a cell without finished runs has none.

    Raises:
        InputError: as `suite.verdict.runs.unique_runs`.
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
    """The factorials with their effects and sums, whose p-values are adjusted over all of them."""
    effects = [list(_effects(one, test.alpha)) for one in found]
    sums = [list(_sums(one, test.margin, test.alpha)) for one in found]
    return [
        replace(one, effects=tuple(its), sums=tuple(added))
        for one, its, added in zip(found, _adjusted_effects(effects), _adjusted_sums(sums), strict=True)
    ]


def testable(gain: stats.PairedGain, alpha: float) -> bool:
    """Whether so many seeds could give a two-sided p below alpha at all."""
    return stats.can_reach(alpha / 2, gain.n, identical=gain.identical)


def two_sided(gain: stats.PairedGain) -> float:
    """The two-sided p-value of a mean of zero."""
    return min(1.0, 2 * min(gain.p_greater, gain.p_less))


def _axes(runs: Sequence[Run]) -> dict[str, Levels]:
    """The axes with the levels that take part in some combination; none if nothing is combined."""
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


def _values(axes: Mapping[str, Levels], runs: Sequence[Run]) -> tuple[dict[Levels, dict[int, float]], tuple[str, ...]]:
    """Top-1 of the finished runs by cell and seed; the axes that aren't the factorial's are at their reference."""
    others = {
        axis: min((str(run[axis]) for run in runs), key=partial(level_order, axis))
        for axis in FACTORS
        if axis not in axes
    }
    values: dict[Levels, dict[int, float]] = {cell: {} for cell in itertools.product(*axes.values())}
    environments = set()
    for run in runs:
        cell = tuple(str(run[axis]) for axis in axes)
        if run["status"] == "done" and cell in values and all(run[axis] == level for axis, level in others.items()):
            values[cell][int(run["seed_index"])] = float(run["top1"])
            environments.add(str(run["environment"]))
    ordered = {cell: dict(sorted(its.items())) for cell, its in values.items()}
    return ordered, tuple(sorted(environments))


# ── effects ───────────────────────────────────────────────────────────────────────────────────────────


def effect_weights(axes: Mapping[str, Levels], levels: Mapping[str, str]) -> dict[Levels, float]:
    """The contrast of an effect: what each cell's mean counts in it.

    Of the axes in `levels`, +1 at the level and −1 at the reference; of the others, the mean over all levels.
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
    """A contrast for each seed that all its cells have; and its cells without any."""
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


# ── do the gains add up? ──────────────────────────────────────────────────────────────────────────────


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


# ── the check: one model of all runs ──────────────────────────────────────────────────────────────────

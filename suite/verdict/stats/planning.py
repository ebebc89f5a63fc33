"""Planning: how many further pairs a claim will probably take, who gets the next one, and what so many pairs can show.

Nothing here decides a verdict. Forecasts simulate further gains, normal with an assumed mean and standard deviation,
and continue the gains at hand with them; draws are seeded, so that the same numbers give the same plan.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from suite.verdict.stats.gains import IDENTICAL, Side, holm
from suite.verdict.stats.power import seeds_needed, smallest_gain
from suite.verdict.stats.sequential import FIRST_LOOK, critical_constant, prefix_p_values

Test = tuple[float, Side]  # a null (points) and the side on which it is tested

BOTH_DIRECTIONS: tuple[Test, ...] = ((0.0, "greater"), (0.0, "less"))
WEIGHT = 4.0  # degrees of freedom that a pooled standard deviation counts for beside a claim's own
DRAWS = 400  # simulated continuations of a forecast
_POWER_DRAWS = 4_000
_LEAST_CHANCE = 0.01  # of being decided, where no simulated continuation was


@dataclass(frozen=True)
class Forecast:
    """What will probably become of a claim.

    further_pairs: the expected number of further pairs until it is decided, or until the largest number is reached.
    decided: the probability that it is decided by then.
    """

    further_pairs: float
    decided: float


@dataclass(frozen=True)
class PowerFigures:
    """What so many pairs can show for one claim of a family, in percentage points.

    level: the level that the claim's p-value must fall below. smallest_gain: the smallest true gain that is shown with
    the power asked for. pairs_needed: the number of pairs that shows the claimed gain with it. Both for a single look.
    """

    level: float
    smallest_gain: float
    pairs_needed: float


def pooled_sd(sds: Sequence[float], pairs: Sequence[int]) -> float:
    """The common standard deviation of several claims' gains, by degrees of freedom; NaN where none has two pairs."""
    known = [(sd, n - 1) for sd, n in zip(sds, pairs, strict=True) if n >= 2 and not math.isnan(sd)]
    freedom = sum(weight for _, weight in known)
    return math.sqrt(sum(weight * sd**2 for sd, weight in known) / freedom) if freedom else math.nan


def shrunken_sd(sd: float, pairs: int, pooled: float, weight: float = WEIGHT) -> float:
    """A claim's standard deviation, moved towards the pooled one: the fewer pairs, the more.

    The variances are averaged with n − 1 and `weight` degrees of freedom (as in Smyth 2004). For planning only: as a
    test this errs too often where claims' standard deviations differ.
    """
    if math.isnan(pooled):
        return sd
    if math.isnan(sd) or pairs < 2:
        return pooled
    return math.sqrt(((pairs - 1) * sd**2 + weight * pooled**2) / (pairs - 1 + weight))


def forecast(
    gains: Sequence[float],
    max_pairs: int,
    alpha: float,
    *,
    gain: float,
    sd: float,
    gain_error: float = 0.0,
    tests: Sequence[Test] = BOTH_DIRECTIONS,
    levels: Sequence[float] | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> Forecast:
    """How many further pairs it takes until any of the tests rejects its null at alpha, by sequential p-values.

    Args:
        gains: so far, in the grid's order of seeds, in points; may be empty.
        max_pairs: the largest number of pairs, as in `suite.verdict.stats.sequential.sequential_p`.
        alpha: the level of each test: `holm_level` for a claim of a family.
        gain: the true gain that is assumed, in points.
        sd: the standard deviation of further gains that is assumed, in points.
        gain_error: how unsure the assumed gain is, as a standard deviation: each simulated continuation draws its own.
        tests: the nulls, and the sides on which they are tested.
        levels: of each test; alpha unless given.
        draws: number of simulated continuations.
        seed: of the random numbers.

    Raises:
        ValueError: more gains than `max_pairs`, a largest number that can't be looked at, or an assumed number that
            isn't finite.
    """
    n = len(gains)
    if n > max_pairs or not all(map(math.isfinite, (gain, sd, gain_error))):
        raise ValueError(f"can't go on from {n} of {max_pairs} pairs with gain {gain} ± {gain_error} and sd {sd}")
    constants = [critical_constant(max_pairs, level) for level in levels or [alpha] * len(tests)]
    rng = np.random.default_rng(seed)
    drawn = rng.standard_normal((draws, max_pairs + 1))  # as many whatever n is: forecasts share their draws
    truth = gain + gain_error * drawn[:, -1:]
    rows = np.hstack([np.tile(np.asarray(gains, dtype=np.float64), (draws, 1)), truth + sd * drawn[:, n:max_pairs]])
    reached = np.zeros(rows.shape, dtype=np.bool_)
    for (null, side), constant in zip(tests, constants, strict=True):
        reached |= prefix_p_values(rows, null, side) <= constant * np.arange(1, max_pairs + 1) / max_pairs
    reached[:, : FIRST_LOOK - 1] = False
    decided = reached.any(axis=1)
    ended = np.where(decided, reached.argmax(axis=1) + 1, max_pairs)
    return Forecast(float(np.maximum(ended - n, 0).mean()), float(decided.mean()))


def next_claim(forecasts: Sequence[Forecast | None], hours: Sequence[float]) -> int | None:
    """The place of the claim that gets the next pair: the least predicted pairs × hours per decision.

    The predicted pairs are divided by the probability that they decide the claim: a claim that will probably stay open
    waits. Of equal ones the first is taken; None if all are decided.

    Args:
        forecasts: of each claim; None for one that is decided, or that can get no further pair.
        hours: what a pair of each claim takes, in any one unit.
    """
    costs = [
        (one.further_pairs * cost / max(one.decided, _LEAST_CHANCE), place)
        for place, (one, cost) in enumerate(zip(forecasts, hours, strict=True))
        if one is not None
    ]
    return min(costs)[1] if costs else None


def holm_level(p_values: Sequence[float], place: int, alpha: float) -> float:
    """The level that one p-value of a family must fall below: alpha / (m − those that are rejected without it).

    By Holm's adjustment the claim is significant if and only if its own p-value is below this.
    """
    others = [*p_values[:place], 1.0, *p_values[place + 1 :]]
    rejected = sum(p < alpha for other, p in enumerate(holm(others)) if other != place)
    return alpha / (len(p_values) - rejected)


def power_figures(pairs: int, sd: float, claimed_gain: float, level: float, power: float = 0.8) -> PowerFigures:
    """What so many pairs can show at the level of a claim in its family, by a single look.

    Args:
        pairs: the number of pairs at hand.
        sd: of their gains, in points.
        claimed_gain: the claim's, in points, on its own side (positive).
        level: `holm_level` for the family as it stands, or alpha / m before any run.
        power: the probability with which a gain is to be shown.
    """
    return PowerFigures(
        level, smallest_gain(pairs, sd, level, power), seeds_needed(claimed_gain, sd, level, power)
    )  # fmt: skip


def smallest_sequential_gain(max_pairs: int, sd: float, alpha: float = 0.05, power: float = 0.8) -> float:
    """The smallest true gain (points) that is found with this power within `max_pairs` pairs, looking after each.

    Simulated (seeded; its power is within about 1 % of the one asked for). 0 for sd 0; NaN for an unknown sd.
    """
    if math.isnan(sd) or sd < IDENTICAL:
        return math.nan if math.isnan(sd) else 0.0
    return _smallest_sequential_effect(max_pairs, alpha, power) * sd


@lru_cache(maxsize=256)
def _smallest_sequential_effect(max_pairs: int, alpha: float, power: float) -> float:
    def found(effect: float) -> float:
        return forecast(
            [], max_pairs, alpha, gain=effect, sd=1.0, tests=((0.0, "greater"),), draws=_POWER_DRAWS
        ).decided  # fmt: skip

    most = 1.0
    while found(most) < power:
        most *= 2
    low, high = 0.0, most  # the same draws at each effect: the share found never falls as it grows
    while high - low > 1e-3 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if found(middle) >= power else (middle, high)
    return high

"""What the t-test over pairs can't see by itself: one pair that differs from all others, skewed gains, a ceiling.

They decide nothing; they say when to read a p-value with care. docs/statistics.md#looking-again has figures of what
skewed gains do to it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from suite.verdict.stats.gains import IDENTICAL, PairedGain, Side, direction, paired_gain

Floats = npt.NDArray[np.float64]

_DRAWS = 20_000  # of normal gains, for the p-value of a skewness


@dataclass(frozen=True)
class Influence:
    """The pair whose gain lies farthest from the others'.

    place: its place among the gains. without: the t-test of the others. p_outlier: the probability that the farthest of
    so many normal gains lies as far out (studentised deleted residual, Bonferroni over the pairs); NaN if the others
    are all equal.
    """

    place: int
    gain: float
    without: PairedGain
    p_outlier: float


@dataclass(frozen=True)
class Skewness:
    """How lopsided gains are: 0 for symmetric ones, negative where the far tail lies below.

    p: the probability that normal gains are as lopsided, either way.
    """

    value: float
    p: float


def leave_one_out(gains: Sequence[float]) -> tuple[PairedGain, ...]:
    """The t-test without each pair in turn."""
    listed = list(gains)
    return tuple(paired_gain(listed[:place] + listed[place + 1 :]) for place in range(len(listed)))


def farthest_pair(gains: Sequence[float]) -> Influence | None:
    """The pair that differs most from the others, the first of several; None below three pairs or if all are equal."""
    values = np.asarray(gains, dtype=np.float64)
    n = values.size
    if n < 3 or paired_gain(gains).identical:
        return None
    off = np.abs(values - values.mean())
    place = int(np.argmax(off > off.max() - IDENTICAL))  # the first of those that are equally far
    without = paired_gain(np.delete(values, place).tolist())
    return Influence(place, float(values[place]), without, _outlier_p(float(values[place]), without, n))


def _outlier_p(value: float, others: PairedGain, n: int) -> float:
    if others.sd < IDENTICAL:
        return math.nan
    from scipy import special  # here: a process that trains does without its 40 MB

    t = abs(value - others.mean) / (others.sd * math.sqrt(1 + 1 / others.n))
    return min(1.0, 2 * n * float(special.stdtr(n - 2, -t)))


def significance_hangs_on(gains: Sequence[float], alpha: float, side: Side = "greater") -> tuple[int, ...]:
    """The places of the pairs without any one of which p < alpha would turn into p ≥ alpha, or the other way round."""

    def significant(gain: PairedGain) -> bool:
        return (gain.p_greater if side == "greater" else gain.p_less) < alpha

    said = significant(paired_gain(gains))
    return tuple(place for place, one in enumerate(leave_one_out(gains)) if significant(one) != said)


def skewness(gains: Sequence[float]) -> Skewness:
    """The adjusted Fisher-Pearson skewness, and how often normal gains are as lopsided (20,000 seeded draws).

    NaN below three gains or if all are equal. With few gains even a strong skewness of their distribution is seldom
    shown: a large p is no proof of symmetry.
    """
    values = np.asarray(gains, dtype=np.float64)
    if values.size < 3 or paired_gain(gains).identical:
        return Skewness(math.nan, math.nan)
    value = float(_skewness(values))
    usual = _usual_skewness(values.size)
    more = usual.size - int(np.searchsorted(usual, abs(value) - 1e-12))
    return Skewness(value, (more + 1) / (usual.size + 1))


def _skewness(values: Floats) -> Floats:
    n = values.shape[-1]
    off = values - values.mean(axis=-1, keepdims=True)
    third, second = (off**3).mean(axis=-1), (off**2).mean(axis=-1)
    found: Floats = math.sqrt(n * (n - 1)) / (n - 2) * third / second**1.5
    return found


@lru_cache(maxsize=64)
def _usual_skewness(n: int) -> Floats:
    """The absolute skewness of n normal gains, many times, in rising order."""
    return np.sort(np.abs(_skewness(np.random.default_rng(n).standard_normal((_DRAWS, n)))))


def room(baseline_mean: float, side: Side = "greater") -> float:
    """How far an accuracy (percent) can move from the baseline's mean on this side, in points."""
    return 100 - baseline_mean if side == "greater" else baseline_mean


def lacks_room(baseline_mean: float, claimed_gain: float, margin: float, side: Side = "greater") -> bool:
    """Whether the baseline leaves no room for even the least gain within the claim's margin (all in points)."""
    return room(baseline_mean, side) < direction(side) * claimed_gain - margin

"""Paired t-tests that hold however often one looks: sequential p-values and repeated confidence intervals.

A largest number of pairs N is fixed before any run. After n pairs, S = min over k = 3 … n of p_k · N / k, where p_k is
the p-value of the first k gains alone. The sequential p-value is G_N(S), with G_N the distribution that S has after
all N pairs if there is no gain. S can only fall as pairs are added, so that P(p ≤ α) ≤ α at any time of stopping,
planned or not, and the p-value may go into Holm's adjustment as any other.

For normal gains t has no unit, and one table of G_N serves every standard deviation. `benchmarks/null_table.py` makes
it; docs/statistics.md#looking-again says how the rule behaves. The order of the gains must be fixed beforehand (the
grid's order of seeds). Sources: Jennison and Turnbull 1984 (repeated confidence intervals); Koning and van Meer,
arXiv 2501.03982.

Gains that are all equal have no t; as in `suite.verdict.stats.gains`, the exact sign flip then gives p_k.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from suite.verdict.stats.gains import IDENTICAL, PairedGain, Side, direction, paired_gain
from suite.verdict.stats.images import Interval

Floats = npt.NDArray[np.float64]

FIRST_LOOK = 3  # pairs: fewer are never tested
TABLE = Path(__file__).with_name("sequential_null.csv")
LARGEST = 100  # the largest N of the table


@dataclass(frozen=True)
class Look:
    """What the first n pairs say, in percentage points.

    low, high: the repeated confidence interval at the level asked for. p: the sequential p-value. boundary: the mean
    gain above which (side "less": below which) n pairs with this standard deviation reject the null at alpha. Where
    nothing can be rejected (below `FIRST_LOOK` pairs, and with few equal gains) interval and boundary are infinite.
    """

    n: int
    mean: float
    low: float
    high: float
    p: float
    boundary: float


def prefix_p_values(gains: npt.ArrayLike, null: float = 0.0, side: Side = "greater") -> Floats:
    """The one-sided p-value of each prefix of the gains, tested alone; 1 below `FIRST_LOOK` gains.

    Args:
        gains: [..., n], in the order that was fixed beforehand, in points.
        null: the mean gain that is tested, in points.
        side: "greater" tests whether the true gain is above the null, "less" whether it is below.

    Returns:
        [..., n], as `suite.verdict.stats.paired_gain` gives them one by one.
    """
    from scipy import special  # here: a process that trains does without its 40 MB

    values = direction(side) * (np.asarray(gains, dtype=np.float64) - null)
    if not np.isfinite(values).all():
        raise ValueError("gains must be finite numbers")
    first, k = values[..., :1], np.arange(1, values.shape[-1] + 1)
    off = values - first  # sums of squares about a value nearby: equal gains have a standard deviation of exactly 0
    mean = np.cumsum(off, axis=-1) / k
    variance = np.maximum(np.cumsum(off**2, axis=-1) - k * mean**2, 0) / np.maximum(k - 1, 1)
    error, mean = np.sqrt(variance / k), mean + first
    identical = np.sqrt(variance) < IDENTICAL
    p: Floats = special.stdtr(np.maximum(k - 1, 1), -mean / np.where(identical, 1.0, error))
    p = np.where(identical, np.where(mean > IDENTICAL, 0.5**k, 1.0), p)
    return np.where(k < FIRST_LOOK, 1.0, p)


def sequential_p_values(
    gains: Sequence[float], max_pairs: int, null: float = 0.0, side: Side = "greater"
) -> tuple[float, ...]:
    """The sequential p-value after each gain: it never rises. Arguments and errors as for `sequential_p`."""
    _check(max_pairs, len(gains))
    p = prefix_p_values(gains, null, side)
    least = np.minimum.accumulate(p * max_pairs / np.arange(1, p.size + 1))
    return tuple(null_probability(float(one), max_pairs) if n >= FIRST_LOOK else 1.0 for n, one in enumerate(least, 1))


def sequential_p(gains: Sequence[float], max_pairs: int, null: float = 0.0, side: Side = "greater") -> float:
    """The sequential p-value of these gains: P(p ≤ α) ≤ α, whenever and however often one looks.

    With null = g − δ and side "less" it tests whether the gain is at least g − δ.

    Args:
        gains: in the order that was fixed beforehand, in points; at most `max_pairs`.
        max_pairs: the largest number of pairs, N, fixed beforehand; from `FIRST_LOOK` to `LARGEST`.
        null: the mean gain that is tested, in points.
        side: "greater" tests whether the true gain is above the null, "less" whether it is below.

    Raises:
        ValueError: more gains than `max_pairs`, or an N that the table doesn't cover.
    """
    return sequential_p_values(gains, max_pairs, null, side)[-1] if len(gains) else 1.0


def sequential_equivalence(gains: Sequence[float], target: float, margin: float, max_pairs: int) -> float:
    """TOST at any time: the p-value of the hypothesis that the true gain lies outside target ± margin (points).

    Each end has a sequential p-value of its own, and the larger one counts. Raises `ValueError` as `sequential_p`
    does, and for a margin that isn't positive.
    """
    if not margin > 0:
        raise ValueError(f"the margin must be positive, not {margin}")
    return max(
        sequential_p(gains, max_pairs, target - margin, "greater"),
        sequential_p(gains, max_pairs, target + margin, "less"),
    )


def repeated_interval(gains: Sequence[float], max_pairs: int, level: float = 0.95) -> Interval:
    """The repeated confidence interval: all of them hold the true gain with probability `level`, for normal gains.

    mean ± t · s / √n, with t the quantile of n − 1 degrees of freedom at 1 − c n / N, and c the quantile of S at half
    of 1 − level. It is infinite below `FIRST_LOOK` pairs, and of equal gains that are too few for the exact test to
    exclude anything. Raises `ValueError` as `sequential_p` does.
    """
    n = len(gains)
    _check(max_pairs, n)
    part = paired_gain(gains)
    half = _half_width(part, max_pairs, (1 - level) / 2)
    return Interval(part.mean - half, part.mean + half) if n else Interval(-math.inf, math.inf)


def look_path(
    gains: Sequence[float],
    max_pairs: int,
    alpha: float = 0.05,
    *,
    level: float = 0.95,
    null: float = 0.0,
    side: Side = "greater",
) -> tuple[Look, ...]:
    """What each prefix of the gains says: the curve of a report. Arguments and errors as for `sequential_p`.

    Args:
        gains: see `sequential_p`; so for max_pairs, null and side.
        max_pairs: the largest number of pairs.
        alpha: the level of the boundary; α / m for the strictest of m claims.
        level: of the repeated confidence interval.
        null: what the boundary is about, in points.
        side: on which side of the null it lies.
    """
    p_values, looks = sequential_p_values(gains, max_pairs, null, side), []
    for n, p in enumerate(p_values, start=1):
        part, interval = paired_gain(gains[:n]), repeated_interval(gains[:n], max_pairs, level)
        boundary = null + direction(side) * _half_width(part, max_pairs, alpha)
        looks.append(Look(n, part.mean, interval.low, interval.high, p, boundary))
    return tuple(looks)


def critical_t(n: int, max_pairs: int, alpha: float) -> float:
    """The t statistic of n pairs above which the sequential p-value is at most alpha, one-sided.

    Infinite below `FIRST_LOOK` pairs. The boundary for a mean gain is this times s / √n.
    """
    if n < FIRST_LOOK:
        return math.inf
    from scipy import special  # here: a process that trains does without its 40 MB

    return float(-special.stdtrit(n - 1, critical_constant(max_pairs, alpha) * n / max_pairs))


def critical_constant(max_pairs: int, alpha: float) -> float:
    """The quantile of S at alpha: a prefix of k pairs decides where its p-value is at most this · k / N.

    It is 0.0174 for N = 20 and α = 0.05.

    Raises:
        ValueError: an N that the table doesn't cover, or a level outside 0 … 1.
    """
    if not 0 < alpha <= 1:
        raise ValueError(f"a level lies between 0 and 1, not at {alpha}")
    _check(max_pairs, 0)
    larger, levels, quantiles = _null(max_pairs)
    if alpha < levels[0]:
        found = min(alpha / _bound(larger), float(quantiles[0]))
    else:
        found = float(np.exp(np.interp(alpha, levels, np.log(quantiles))))
    return found * max_pairs / larger


def null_probability(statistic: float, max_pairs: int) -> float:
    """G_N: the probability that S falls to this value or below within N pairs if the mean is the null's.

    Between the quantiles of the table the probability is linear in log S. Below the smallest one it is the sum of
    the probabilities of all prefixes, which is never too small. An N between two of the table is taken as the next
    larger one, of which fewer pairs are then run: p is a little too large.
    """
    larger, levels, quantiles = _null(max_pairs)
    scaled = float(statistic) * larger / max_pairs  # p_k · N / k at the larger N
    if scaled >= quantiles[-1]:
        return 1.0
    if scaled < quantiles[0]:
        return float(min(levels[0], scaled * _bound(larger)))
    return float(np.interp(math.log(scaled), np.log(quantiles), levels))


def _half_width(part: PairedGain, max_pairs: int, alpha: float) -> float:
    """How far from the mean a value must lie to be rejected, one-sided; infinite where none can be."""
    if part.n < FIRST_LOOK:
        return math.inf
    if part.identical:
        return 0.0 if 0.5**part.n <= critical_constant(max_pairs, alpha) * part.n / max_pairs else math.inf
    return critical_t(part.n, max_pairs, alpha) * part.sd / math.sqrt(part.n)


def _bound(size: int) -> float:
    """Σ k / N over the prefixes: P(S ≤ s) is at most s times this, since P(p_k ≤ s k / N) = s k / N."""
    return sum(range(FIRST_LOOK, size + 1)) / size


def _check(max_pairs: int, n: int) -> None:
    if not FIRST_LOOK <= max_pairs <= LARGEST:
        raise ValueError(f"the largest number of pairs must be from {FIRST_LOOK} to {LARGEST}, not {max_pairs}")
    if n > max_pairs:
        raise ValueError(f"at most {max_pairs} pairs were planned, and {n} are given")


@lru_cache(maxsize=128)
def _null(max_pairs: int) -> tuple[int, Floats, Floats]:
    """The table's N, its levels (rising) and the quantiles of S there, for the smallest N that is large enough."""
    sizes, levels, quantiles = _table()
    place = next(place for place, size in enumerate(sizes) if size >= max_pairs)
    return sizes[place], levels, quantiles[:, place]


@lru_cache(maxsize=1)
def _table() -> tuple[tuple[int, ...], Floats, Floats]:
    with TABLE.open(encoding="utf-8", newline="") as file:
        heads, *lines = csv.reader(file)
    values = np.array(lines, dtype=np.float64)
    return tuple(int(head) for head in heads[1:]), values[:, 0], values[:, 1:]

"""Statistics of paired gains: tests, intervals and p-values for n seeds.

A gain is treatment minus baseline in percentage points. There is one gain per seed, and each function takes the
gains of one contrast. Two special cases have defined results, without warnings:

* One pair, or none: nothing can be tested. The standard deviation and the interval are NaN, and p is 1.
* All gains identical: the t statistic is undefined, because the standard deviation is 0. The t-test would give
  p = 0 for any number of pairs. This happens: on a test set of 360 images, accuracy changes in steps of 0.28
  points. The exact sign-flip p-value is used instead; it is never below 2^-n. The interval has zero width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt

Side = Literal["greater", "less"]
Floats = npt.NDArray[np.float64]

# Standard deviations (points) below this are floating-point rounding errors: one image in a million is 1e-4 points.
IDENTICAL = 1e-9

# Up to this many pairs, all 2^n sign patterns are evaluated. For more pairs, `_DRAWS` patterns are sampled with a
# fixed seed.
EXACT_PAIRS = 13
_DRAWS = 9_999


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation (ddof = 1; NaN below two values) of n values."""

    n: int
    mean: float
    sd: float


@dataclass(frozen=True)
class PairedGain:
    """The mean gain over n pairs (points), with its standard deviation, t interval and one-sided p-values.

    Args:
        n: the number of pairs.
        mean: the mean gain.
        sd: the sample standard deviation of the gains.
        low: the lower end of the t interval of the mean.
        high: its upper end.
        p_greater: the p-value against the alternative that the true gain is above zero.
        p_less: the p-value against the alternative that it is below zero.
    """

    n: int
    mean: float
    sd: float
    low: float
    high: float
    p_greater: float
    p_less: float

    @property
    def identical(self) -> bool:
        """Whether all pairs (two or more) have the same gain, so that the t statistic is undefined."""
        return self.sd < IDENTICAL


def direction(side: Side) -> int:
    """The sign of a gain on this side: 1 for "greater", -1 for "less"."""
    return 1 if side == "greater" else -1


def spread(values: Sequence[float]) -> Spread:
    """Mean and sample standard deviation; NaN where they are not defined."""
    array = _finite(values)
    mean = float(array.mean()) if array.size else math.nan
    return Spread(int(array.size), mean, float(array.std(ddof=1)) if array.size > 1 else math.nan)


def paired_gain(gains: Sequence[float], level: float = 0.95) -> PairedGain:
    """Test the gains against zero with a paired t-test: both one-sided p-values and the two-sided interval."""
    part = spread(gains)
    n, mean, sd = part.n, part.mean, part.sd
    if n < 2:
        return PairedGain(n, mean, sd, math.nan, math.nan, 1.0, 1.0)
    if sd < IDENTICAL:
        return PairedGain(n, mean, 0.0, mean, mean, _identical_p(mean, n), _identical_p(-mean, n))
    from scipy import special  # imported here to save its 40 MB in training processes

    error = sd / math.sqrt(n)
    half = float(special.stdtrit(n - 1, (1 + level) / 2)) * error
    p_greater, p_less = (float(special.stdtr(n - 1, t)) for t in (-mean / error, mean / error))
    return PairedGain(n, mean, sd, mean - half, mean + half, p_greater, p_less)


def sign_flip(gains: Sequence[float], side: Side = "greater") -> float:
    """The exact sign-flip p-value: the fraction of all 2^n sign patterns with a mean gain at least this large.

    The test doesn't assume a normal distribution. Its p-value is never below `smallest_sign_flip_p(n)`. Above
    `EXACT_PAIRS` pairs, the patterns are sampled with a fixed seed. The p-value then counts the sampled patterns
    and the observed one.
    """
    array = direction(side) * _finite(gains)
    n = array.size
    if n == 0:
        return 1.0
    # The tolerance covers rounding: sums that are equal in exact arithmetic may differ in their last digits.
    as_large = int(np.sum(_sign_patterns(n) @ array >= array.sum() - IDENTICAL * n))
    return as_large / 2**n if n <= EXACT_PAIRS else (as_large + 1) / (_DRAWS + 1)


@lru_cache(maxsize=32)
def _sign_patterns(n: int) -> Floats:
    """Sign patterns of n gains, [patterns, n]: all 2^n, or a random sample of them."""
    if n > EXACT_PAIRS:
        return np.random.default_rng(0).choice((-1.0, 1.0), size=(_DRAWS, n))
    return np.where((np.arange(2**n)[:, None] >> np.arange(n)) & 1, -1.0, 1.0)


def smallest_sign_flip_p(n: int) -> float:
    """The smallest one-sided p-value that the sign-flip test can give for n pairs."""
    if n < 1:
        return 1.0
    return 0.5**n if n <= EXACT_PAIRS else 1 / (_DRAWS + 1)


def equivalence(gains: Sequence[float], target: float, margin: float) -> float:
    """Test for equivalence with two one-sided t-tests (TOST).

    The null hypothesis is that the true gain lies outside target ± margin. A small p-value shows that the gain
    equals the target within the margin.

    Args:
        gains: one gain per pair, in points.
        target: the claimed gain, in points.
        margin: the largest difference from the target that counts as equal, in points.

    Raises:
        ValueError: the margin isn't positive. No data could show equivalence then.
    """
    if not margin > 0:
        raise ValueError(f"the margin must be positive, not {margin}")
    part = spread(gains)
    if part.n < 2:
        return 1.0
    off = part.mean - target
    if part.sd < IDENTICAL:
        return max(_identical_p(off + margin, part.n), _identical_p(margin - off, part.n))
    from scipy import special  # imported here to save its 40 MB in training processes

    nearer_end = margin - abs(off)
    return float(special.stdtr(part.n - 1, -nearer_end / (part.sd / math.sqrt(part.n))))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for multiple testing with Holm's method (Holm 1979). The order is kept."""
    raw = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(raw, kind="stable")
    adjusted = np.empty_like(raw)
    adjusted[order] = np.minimum(np.maximum.accumulate(raw[order] * np.arange(raw.size, 0, -1)), 1.0)
    return [float(p) for p in adjusted]


def can_reach(alpha: float, n: int, *, identical: bool = False) -> bool:
    """Whether any p-value below alpha is possible with n pairs. The t-test needs at least two pairs.

    Args:
        alpha: the significance level.
        n: the number of pairs.
        identical: whether all pairs have the same gain. The exact test is used then, and its smallest p-value
            is 2^-n.
    """
    return n >= 2 and (not identical or 0.5**n < alpha)


def correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Pearson's correlation between the two sides of the pairs. NaN below three pairs, or if a side is constant."""
    x, y = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if x.size < 3 or x.std() < IDENTICAL or y.std() < IDENTICAL:
        return math.nan
    return float(np.corrcoef(x, y)[0, 1])


def _identical_p(mean: float, n: int) -> float:
    """The exact sign-flip p-value (side "greater") of n equal gains.

    For a positive gain, only one of the 2^n patterns is as large. Otherwise all of them are.
    """
    return 0.5**n if mean > IDENTICAL else 1.0


def _finite(values: Sequence[float]) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"gains and accuracies must be finite numbers, not {array.tolist()}")
    return array

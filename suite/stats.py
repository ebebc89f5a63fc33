"""Statistics of paired gains: what n seeds can say, and what they can't.

A gain is treatment minus baseline in percentage points, one per seed; all functions take the gains of one
contrast. Two cases that the textbooks leave out have fixed answers here, without warnings:

* One pair (or none): nothing can be tested. Standard deviation and interval are NaN, p is 1.
* All pairs identical: t has no scale to measure by, and would answer p = 0, however few the pairs. A test
  set of 360 images resolves 0.28 points, so this happens. The exact sign-flip p takes its place, which
  never falls below 2^-n; the interval is the point itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

Side = Literal["greater", "less"]

# Standard deviations below this (points) are the rounding of floating-point numbers, not a spread: one
# image of a million is 1e-4 points.
IDENTICAL = 1e-9

# Up to 2^13 sign patterns are all tried; of more, so many are drawn, with a fixed seed.
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
    """A mean gain over pairs, its standard deviation, its 95 % t interval and the one-sided p-values."""

    n: int
    mean: float
    sd: float
    low: float
    high: float
    p_greater: float
    p_less: float

    @property
    def identical(self) -> bool:
        """Whether all pairs (two or more) have the same gain, so that t has no scale."""
        return self.sd < IDENTICAL


def spread(values: Sequence[float]) -> Spread:
    """Mean and sample standard deviation; NaN where they are not defined."""
    array = _finite(values)
    mean = float(array.mean()) if array.size else math.nan
    return Spread(int(array.size), mean, float(array.std(ddof=1)) if array.size > 1 else math.nan)


def paired_gain(gains: Sequence[float], level: float = 0.95) -> PairedGain:
    """The paired t-test of the gains against zero, in both directions, with its two-sided interval."""
    array = _finite(gains)
    n, mean, sd = (part := spread(gains)).n, part.mean, part.sd
    if n < 2:
        return PairedGain(n, mean, sd, math.nan, math.nan, 1.0, 1.0)
    if sd < IDENTICAL:
        return PairedGain(n, mean, 0.0, mean, mean, _identical_p(mean, n), _identical_p(-mean, n))
    test = stats.ttest_1samp(array, 0.0)
    interval = test.confidence_interval(level)
    half = float(test.pvalue) / 2
    greater, less = (half, 1 - half) if mean > 0 else (1 - half, half)
    return PairedGain(n, mean, sd, float(interval.low), float(interval.high), greater, less)


def sign_flip(gains: Sequence[float], side: Side = "greater") -> float:
    """The exact sign-flip p-value: the share of all 2^n sign patterns with a mean gain at least this large.

    It needs no normal distribution, but can't fall below `smallest_sign_flip_p(n)`. Above `EXACT_PAIRS`
    pairs the patterns are drawn (seeded), and the p-value is that of the draw.
    """
    array = _finite(gains)
    if array.size == 0:
        return 1.0
    if array.size == 1:  # scipy refuses a single observation; its two patterns are easily counted
        return 0.5 if (array[0] > 0 if side == "greater" else array[0] < 0) else 1.0
    test = stats.permutation_test(
        [array],
        lambda sample, axis: np.mean(sample, axis=axis),
        permutation_type="samples",
        alternative=side,
        n_resamples=_DRAWS,
        vectorized=True,
        rng=np.random.default_rng(0),
    )
    return float(test.pvalue)


def smallest_sign_flip_p(n: int) -> float:
    """The smallest p-value that the sign flip can give for n pairs, one-sided."""
    if n < 1:
        return 1.0
    return 0.5**n if n <= EXACT_PAIRS else 1 / (_DRAWS + 1)


def equivalence(gains: Sequence[float], target: float, margin: float) -> float:
    """TOST: the p-value of the hypothesis that the true gain lies outside target ± margin (points).

    A small one shows that the gain is as large as claimed, within the margin.

    Raises:
        ValueError: the margin isn't positive; no data could then show equivalence.
    """
    if not margin > 0:
        raise ValueError(f"the margin must be positive, not {margin}")
    array = _finite(gains)
    part = spread(gains)
    if part.n < 2:
        return 1.0
    if part.sd < IDENTICAL:
        off = part.mean - target
        return max(_identical_p(off + margin, part.n), _identical_p(margin - off, part.n))
    from statsmodels.stats.weightstats import ttost_paired

    p, _, _ = ttost_paired(array, np.zeros_like(array), target - margin, target + margin)
    return float(p)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjustment for testing several claims at once; in the same order."""
    if not p_values:
        return []
    from statsmodels.stats.multitest import multipletests

    return [float(p) for p in multipletests(list(p_values), method="holm")[1]]


def can_reach(alpha: float, n: int, *, identical: bool = False) -> bool:
    """Whether n pairs could give p < alpha at all. The t-test can from two pairs on.

    identical: the pairs have all the same gain, so that the exact test decides, with 2^-n at best.
    """
    return n >= 2 and (not identical or 0.5**n < alpha)


def smallest_gain(n: int, sd: float, alpha: float = 0.05, power: float = 0.8) -> float:
    """The smallest true gain (points) that n pairs show with this power, if their gains spread by sd.

    One-sided paired t-test, one claim alone. Infinite below two pairs; 0 for sd 0; NaN for an unknown sd.
    """
    if n < 2:
        return math.inf
    if math.isnan(sd) or sd < IDENTICAL:
        return math.nan if math.isnan(sd) else 0.0
    from statsmodels.stats.power import TTestPower

    effect = TTestPower().solve_power(nobs=n, alpha=alpha, power=power, alternative="larger")
    return float(np.squeeze(effect)) * sd


def seeds_needed(gain: float, sd: float, alpha: float = 0.05, power: float = 0.8) -> float:
    """The number of pairs (a whole number, at least 2) that show a true gain with this power.

    Infinite where no number does (gain ≤ 0); 2 for sd 0; NaN for an unknown sd.
    """
    if math.isnan(sd) or math.isnan(gain):
        return math.nan
    if gain <= 0:
        return math.inf
    if sd < IDENTICAL:
        return 2.0
    from statsmodels.stats.power import TTestPower

    test, effect = TTestPower(), gain / sd
    if test.power(effect, 2, alpha, alternative="larger") >= power:
        return 2.0  # the solver fails where even two pairs are more than enough
    solution = test.solve_power(effect_size=effect, alpha=alpha, power=power, alternative="larger")
    return float(math.ceil(float(np.squeeze(solution))))


def correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Pearson's correlation of the two sides of the pairs; NaN below three pairs, or if a side is constant."""
    x, y = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if x.size < 3 or x.std() < IDENTICAL or y.std() < IDENTICAL:
        return math.nan
    return float(np.corrcoef(x, y)[0, 1])


def _identical_p(mean: float, n: int) -> float:
    """The exact sign-flip p (side greater) of n equal gains: one pattern of 2^n, or, for no gain, all of them."""
    return 0.5**n if mean > IDENTICAL else 1.0


def _finite(values: Sequence[float]) -> npt.NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"gains and accuracies must be finite numbers, not {array.tolist()}")
    return array

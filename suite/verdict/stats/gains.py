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
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt

Side = Literal["greater", "less"]
Floats = npt.NDArray[np.float64]

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


def direction(side: Side) -> int:
    """The sign of a gain on this side: 1 or -1."""
    return 1 if side == "greater" else -1


def spread(values: Sequence[float]) -> Spread:
    """Mean and sample standard deviation; NaN where they are not defined."""
    array = _finite(values)
    mean = float(array.mean()) if array.size else math.nan
    return Spread(int(array.size), mean, float(array.std(ddof=1)) if array.size > 1 else math.nan)


def paired_gain(gains: Sequence[float], level: float = 0.95) -> PairedGain:
    """The paired t-test of the gains against zero, in both directions, with its two-sided interval."""
    part = spread(gains)
    n, mean, sd = part.n, part.mean, part.sd
    if n < 2:
        return PairedGain(n, mean, sd, math.nan, math.nan, 1.0, 1.0)
    if sd < IDENTICAL:
        return PairedGain(n, mean, 0.0, mean, mean, _identical_p(mean, n), _identical_p(-mean, n))
    from scipy import special  # here: a process that trains does without its 40 MB

    error = sd / math.sqrt(n)
    half = float(special.stdtrit(n - 1, (1 + level) / 2)) * error
    p_greater, p_less = (float(special.stdtr(n - 1, t)) for t in (-mean / error, mean / error))
    return PairedGain(n, mean, sd, mean - half, mean + half, p_greater, p_less)


def sign_flip(gains: Sequence[float], side: Side = "greater") -> float:
    """The exact sign-flip p-value: the share of all 2^n sign patterns with a mean gain at least this large.

    It needs no normal distribution, but can't fall below `smallest_sign_flip_p(n)`. Above `EXACT_PAIRS`
    pairs the patterns are drawn (seeded), and the p-value is that of the draw, which counts the observed
    pattern too.
    """
    array = direction(side) * _finite(gains)
    n = array.size
    if n == 0:
        return 1.0
    # Sums that are equal on paper differ in their last digits.
    as_large = int(np.sum(_sign_patterns(n) @ array >= array.sum() - IDENTICAL * n))
    return as_large / 2**n if n <= EXACT_PAIRS else (as_large + 1) / (_DRAWS + 1)


@lru_cache(maxsize=32)
def _sign_patterns(n: int) -> Floats:
    """Sign patterns of n gains, [patterns, n]: all of them, or a draw."""
    if n > EXACT_PAIRS:
        return np.random.default_rng(0).choice((-1.0, 1.0), size=(_DRAWS, n))
    return np.where((np.arange(2**n)[:, None] >> np.arange(n)) & 1, -1.0, 1.0)


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
    part = spread(gains)
    if part.n < 2:
        return 1.0
    off = part.mean - target
    if part.sd < IDENTICAL:
        return max(_identical_p(off + margin, part.n), _identical_p(margin - off, part.n))
    from scipy import special  # here: a process that trains does without its 40 MB

    nearer_end = margin - abs(off)
    return float(special.stdtr(part.n - 1, -nearer_end / (part.sd / math.sqrt(part.n))))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjustment for testing several claims at once; in the same order (Holm 1979)."""
    raw = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(raw, kind="stable")
    adjusted = np.empty_like(raw)
    adjusted[order] = np.minimum(np.maximum.accumulate(raw[order] * np.arange(raw.size, 0, -1)), 1.0)
    return [float(p) for p in adjusted]


def can_reach(alpha: float, n: int, *, identical: bool = False) -> bool:
    """Whether n pairs could give p < alpha at all. The t-test can from two pairs on.

    identical: the pairs have all the same gain, so that the exact test decides, with 2^-n at best.
    """
    return n >= 2 and (not identical or 0.5**n < alpha)


def correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Pearson's correlation of the two sides of the pairs; NaN below three pairs, or if a side is constant."""
    x, y = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if x.size < 3 or x.std() < IDENTICAL or y.std() < IDENTICAL:
        return math.nan
    return float(np.corrcoef(x, y)[0, 1])


def _identical_p(mean: float, n: int) -> float:
    """The exact sign-flip p (side greater) of n equal gains: one pattern of 2^n, or, for no gain, all of them."""
    return 0.5**n if mean > IDENTICAL else 1.0


def _finite(values: Sequence[float]) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"gains and accuracies must be finite numbers, not {array.tolist()}")
    return array

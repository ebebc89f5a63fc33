"""Power of the one-sided paired t-test: which gains so many pairs show, and how many pairs a gain takes."""

from __future__ import annotations

import math
from functools import lru_cache

from suite.verdict.stats.gains import IDENTICAL


def smallest_gain(n: int, sd: float, alpha: float = 0.05, power: float = 0.8) -> float:
    """The smallest true gain (points) that n pairs show with this power, if their gains spread by sd.

    One-sided paired t-test, one claim alone. Infinite below two pairs; 0 for sd 0; NaN for an unknown sd.
    """
    if n < 2:
        return math.inf
    if math.isnan(sd) or sd < IDENTICAL:
        return math.nan if math.isnan(sd) else 0.0
    return _smallest_effect(n, alpha, power) * sd


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
    effect = gain / sd
    most = 2
    while _power(effect, most, alpha) < power:
        most *= 2
    least = max(most // 2, 1)  # too few, and `most` are enough: the power grows with the number
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (least, middle) if _power(effect, middle, alpha) >= power else (middle, most)
    return float(most)


def _power(effect: float, n: int, alpha: float) -> float:
    """The probability of p < alpha if the true gain is `effect` standard deviations: a noncentral t."""
    from scipy import special  # here: a process that trains does without its 40 MB

    critical = special.stdtrit(n - 1, 1 - alpha)
    return 1 - float(special.nctdtr(n - 1, effect * math.sqrt(n), critical))


@lru_cache(maxsize=4096)
def _smallest_effect(n: int, alpha: float, power: float) -> float:
    from scipy import optimize

    most = 1.0
    while _power(most, n, alpha) < power:
        most *= 2
    return float(optimize.brentq(lambda effect: _power(effect, n, alpha) - power, 0.0, most, xtol=1e-12))

"""Power of the one-sided paired t-test: the smallest detectable gain, and the number of pairs that a gain needs."""

from __future__ import annotations

import math
from functools import lru_cache

from suite.verdict.stats.gains import IDENTICAL


def smallest_gain(n: int, sd: float, alpha: float = 0.05, power: float = 0.8) -> float:
    """The smallest true gain (points) that a one-sided paired t-test of n pairs detects with this power.

    One claim is tested, without adjustment for others.

    Args:
        n: the number of pairs.
        sd: the standard deviation of the gains over pairs, in points; NaN if it is unknown.
        alpha: the significance level.
        power: the probability of detecting the gain.

    Returns:
        The gain; infinite below two pairs, 0 if sd is 0, NaN if sd is unknown.
    """
    if n < 2:
        return math.inf
    if math.isnan(sd) or sd < IDENTICAL:
        return math.nan if math.isnan(sd) else 0.0
    return _smallest_effect(n, alpha, power) * sd


def seeds_needed(gain: float, sd: float, alpha: float = 0.05, power: float = 0.8) -> float:
    """The number of pairs that a one-sided paired t-test needs to detect a true gain with this power.

    Args:
        gain: the true gain, in points; NaN if it is unknown.
        sd: the standard deviation of the gains over pairs, in points; NaN if it is unknown.
        alpha: the significance level.
        power: the probability of detecting the gain.

    Returns:
        An integer, at least 2; infinite if no number is enough (gain ≤ 0), 2 if sd is 0, NaN for an unknown input.
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
    least = max(most // 2, 1)  # bisect: `least` pairs are too few, `most` are enough, and power grows with n
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (least, middle) if _power(effect, middle, alpha) >= power else (middle, most)
    return float(most)


def _power(effect: float, n: int, alpha: float) -> float:
    """The probability of p < alpha if the true gain is `effect` standard deviations (noncentral t distribution)."""
    from scipy import special  # imported here to save its 40 MB in training processes

    critical = special.stdtrit(n - 1, 1 - alpha)
    return 1 - float(special.nctdtr(n - 1, effect * math.sqrt(n), critical))


@lru_cache(maxsize=4096)
def _smallest_effect(n: int, alpha: float, power: float) -> float:
    from scipy import optimize

    most = 1.0
    while _power(most, n, alpha) < power:
        most *= 2
    return float(optimize.brentq(lambda effect: _power(effect, n, alpha) - power, 0.0, most, xtol=1e-12))

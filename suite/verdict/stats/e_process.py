"""A sign-flip e-process: a test that holds at any time, without a largest number of pairs.

If gains are symmetric about the null, each sign is a fair coin, whatever the sizes of this and all earlier gains. So
E_n = Π 2 / (1 + e^(−2 a_i)), with a_i = κ x_i / rms(|x_1|, …, |x_i|), is a martingale that starts at 1, and so is its
mean over some κ. By Ville's inequality E ever reaches 1/α with probability α at most: p = 1 / max E is a p-value at
any time of stopping. No normal distribution is assumed, but symmetry is: skewed gains break it
(docs/statistics.md#looking-again). Where gains are also unimodal, the same holds for a true mean beyond the null.

The sign alone decides: n pairs give no p-value below 2⁻ⁿ. Sources: Ville 1939; Wang and Ramdas, arXiv 2310.03722.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from suite.verdict.stats.gains import IDENTICAL, Side, direction
from suite.verdict.stats.images import Interval

Floats = npt.NDArray[np.float64]

KAPPAS = (0.5, 1.0, 2.0, 4.0)  # how much is staked on a gain of usual size; all are tried, with equal weight
_GRID, _REFINEMENTS = 50, 4  # centres that are tried for an end of the interval, and how often ever closer ones


def log_e_values(gains: npt.ArrayLike, null: float = 0.0, side: Side = "greater") -> Floats:
    """The natural logarithm of the e-process after each gain.

    Args:
        gains: [..., n], in the order that was fixed beforehand, in points.
        null: the centre of the gains that is tested, in points.
        side: "greater" gathers evidence that the true gain is above the null, "less" that it is below.

    Returns:
        [..., n]. A large value is evidence; gains of exactly the null say nothing.
    """
    values = direction(side) * (np.asarray(gains, dtype=np.float64) - null)
    if not np.isfinite(values).all():
        raise ValueError("gains must be finite numbers")
    largest = np.max(np.abs(values), axis=-1, keepdims=True, initial=0.0)
    scaled = values / np.where(largest > 0, largest, 1.0)  # squares of tiny or huge gains stay within floats
    size = np.sqrt(np.cumsum(scaled**2, axis=-1) / np.arange(1, values.shape[-1] + 1))
    share = np.divide(scaled, size, out=np.zeros_like(scaled), where=size > 0)
    stakes = np.array(KAPPAS).reshape(-1, *[1] * share.ndim)
    products = np.cumsum(math.log(2) - np.logaddexp(0, -2 * stakes * share), axis=-1)
    found: Floats = np.logaddexp.reduce(products, axis=0) - math.log(len(KAPPAS))
    return found


def e_process_p_values(gains: Sequence[float], null: float = 0.0, side: Side = "greater") -> tuple[float, ...]:
    """The p-value after each gain, 1 / max E: it never rises. Arguments as for `log_e_values`."""
    if not len(gains):
        return ()
    highest = np.maximum.accumulate(np.maximum(log_e_values(gains, null, side), 0.0))
    return tuple(float(p) for p in np.exp(-highest))


def e_process_p(gains: Sequence[float], null: float = 0.0, side: Side = "greater") -> float:
    """The p-value of these gains: P(p ≤ α) ≤ α whenever one stops, for symmetric gains. See `log_e_values`."""
    return e_process_p_values(gains, null, side)[-1] if len(gains) else 1.0


def e_process_equivalence(gains: Sequence[float], target: float, margin: float) -> float:
    """TOST at any time: the p-value of the hypothesis that the gain's centre lies outside target ± margin (points).

    Raises:
        ValueError: the margin isn't positive.
    """
    if not margin > 0:
        raise ValueError(f"the margin must be positive, not {margin}")
    return max(e_process_p(gains, target - margin, "greater"), e_process_p(gains, target + margin, "less"))


def e_process_interval(gains: Sequence[float], level: float = 0.95) -> Interval:
    """An interval that holds the centre of symmetric gains at all looks together with probability `level`.

    It reaches from the smallest centre that isn't rejected from below to the largest that isn't from above, each by
    the e-process after all gains, at half of 1 − level. Infinite with fewer pairs than `least_pairs` of that.
    """
    tail = (1 - level) / 2
    if len(gains) < least_pairs(tail):
        return Interval(-math.inf, math.inf)
    values = np.asarray(gains, dtype=np.float64)
    return Interval(_lower_end(values, tail), -_lower_end(-values, tail))


def _lower_end(values: Floats, tail: float) -> float:
    """The smallest centre that the gains don't reject at this level; -inf where that can't be told."""
    least, span = float(values.min()), float(np.ptp(values))
    if span < IDENTICAL:
        return least
    # A centre far away may be kept where a nearer one is rejected: the smallest kept one of all counts.
    centres = np.concatenate([least - span * np.geomspace(1e4, 1e-3, _GRID), np.linspace(least, least + span, _GRID)])
    for _ in range(_REFINEMENTS):
        kept = log_e_values(values - centres[:, None])[:, -1] < -math.log(tail)
        first = int(np.argmax(kept))
        if not kept[first] or first == 0:
            return least + span if not kept[first] else -math.inf
        centres = np.linspace(centres[first - 1], centres[first], _GRID)
    return float(centres[0])


@lru_cache(maxsize=256)
def least_pairs(alpha: float) -> int:
    """The smallest number of pairs that can give p ≤ alpha: that of equal gains."""
    n = 1
    while e_process_p([1.0] * n) > alpha:
        n += 1
    return n

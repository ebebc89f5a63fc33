"""What timings of two sides say about each other. Facts and scipy only: nothing here needs torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Quartiles:
    """The median of some values, and their quartiles."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Ratio:
    """The median of paired ratios, with its 95 % interval (NaN below two pairs)."""

    median: float
    low: float
    high: float


def only(ratio: float) -> Ratio:
    """A ratio that was measured once, and has no interval."""
    return Ratio(ratio, math.nan, math.nan)


def quartiles(values: Sequence[float]) -> Quartiles:
    """Median and quartiles, by linear interpolation."""
    low, median, high = np.quantile(values, (0.25, 0.5, 0.75))
    return Quartiles(float(median), float(low), float(high))


def paired_ratio(baseline: Sequence[float], treatment: Sequence[float]) -> Ratio:
    """The median of treatment / baseline, pair by pair, and its interval by a percentile bootstrap of the pairs.

    The pairs share what the machine did at the time, and a median is not moved by the few that it disturbed.
    The resampling is seeded.
    """
    ratios = np.asarray(treatment, dtype=np.float64) / np.asarray(baseline, dtype=np.float64)
    median = float(np.median(ratios))
    if ratios.size < 2:
        return Ratio(median, math.nan, math.nan)
    found = stats.bootstrap((ratios,), np.median, method="percentile", rng=np.random.default_rng(0))
    return Ratio(median, float(found.confidence_interval.low), float(found.confidence_interval.high))

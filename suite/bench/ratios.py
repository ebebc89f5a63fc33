"""Statistics that compare the timings of two sides. This module doesn't import torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Quartiles:
    """The median of a set of values, with the lower and the upper quartile."""

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
    """Wrap a ratio that was measured only once: its interval is NaN."""
    return Ratio(ratio, math.nan, math.nan)


def quartiles(values: Sequence[float]) -> Quartiles:
    """Median and quartiles, by linear interpolation."""
    low, median, high = np.quantile(values, (0.25, 0.5, 0.75))
    return Quartiles(float(median), float(low), float(high))


def paired_ratio(baseline: Sequence[float], treatment: Sequence[float]) -> Ratio:
    """Return the median of the paired ratios treatment / baseline, with a 95 % percentile-bootstrap interval.

    Both values of a pair are measured close together, so a slowdown of the machine affects both. The median is robust
    against the few pairs where it doesn't. The resampling is seeded.
    """
    ratios = np.asarray(treatment, dtype=np.float64) / np.asarray(baseline, dtype=np.float64)
    median = float(np.median(ratios))
    if ratios.size < 2:
        return Ratio(median, math.nan, math.nan)
    found = stats.bootstrap((ratios,), np.median, method="percentile", rng=np.random.default_rng(0))
    return Ratio(median, float(found.confidence_interval.low), float(found.confidence_interval.high))

"""Ratios of paired timings: what disturbs both sides cancels, what disturbs a few moves nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest

from suite.bench.ratios import Quartiles, Ratio, paired_ratio, quartiles


def test_quartiles() -> None:
    assert quartiles([4.0, 1.0, 3.0, 2.0, 5.0]) == Quartiles(median=3.0, low=2.0, high=4.0)
    assert quartiles([7.0]) == Quartiles(7.0, 7.0, 7.0)


def test_drift_of_the_machine_cancels() -> None:
    rng = np.random.default_rng(1)
    drift = np.linspace(1, 3, 40)
    baseline = drift * rng.normal(1, 0.005, 40)
    treatment = 1.02 * drift * rng.normal(1, 0.005, 40)
    ratio = paired_ratio(list(baseline), list(treatment))
    assert ratio.low < 1.02 < ratio.high
    assert ratio.high - ratio.low < 0.01
    assert ratio == paired_ratio(list(baseline), list(treatment))


def test_a_few_disturbed_rounds_move_nothing() -> None:
    baseline, treatment = [1.0] * 30, [1.1] * 30
    treatment[3] = baseline[20] = 50.0
    ratio = paired_ratio(baseline, treatment)
    assert (ratio.median, ratio.low, ratio.high) == pytest.approx((1.1, 1.1, 1.1))


def test_one_pair_has_no_interval() -> None:
    ratio = paired_ratio([2.0], [3.0])
    assert ratio.median == 1.5
    assert math.isnan(ratio.low)
    assert math.isnan(ratio.high)


def test_the_interval_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(60):
        ratio: Ratio = paired_ratio([1.0] * 25, list(rng.normal(1.0, 0.1, 25)))
        covered += ratio.low <= 1.0 <= ratio.high
    assert covered >= 52

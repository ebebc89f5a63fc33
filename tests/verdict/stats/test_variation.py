"""The share of each source in the variance from seed to seed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import chi2

from suite.verdict.stats.variation import variations


def test_shares_are_those_of_the_variances() -> None:
    found = variations({"a": [1.0, 3.0], "b": [0.0, 4.0], "a and b": [0.0, 5.0]}, ["a", "b"])
    assert [one.variance for one in found.values()] == pytest.approx([2, 8, 12.5])
    assert [one.share for one in found.values()] == pytest.approx([0.2, 0.8, 1.25])
    assert {one.n for one in found.values()} == {2}


def test_the_interval_of_a_standard_deviation_covers_it() -> None:
    rng = np.random.default_rng(0)
    held = [variations({"a": rng.normal(0, 2, 5).tolist()}, ["a"])["a"] for _ in range(400)]
    assert sum(one.sd_low <= 2 <= one.sd_high for one in held) / 400 == pytest.approx(0.95, abs=0.035)
    first = held[0]
    assert first.sd_high == pytest.approx(math.sqrt(4 * first.variance / chi2.ppf(0.025, 4)))


def test_what_is_not_known_is_nan() -> None:
    alone = variations({"a": [1.0]}, ["a"])["a"]
    assert all(math.isnan(value) for value in (alone.variance, alone.sd_low, alone.share))
    assert math.isnan(variations({"a": [1.0, 2.0]}, [])["a"].share)
    assert math.isnan(variations({"a": [1.0, 1.0]}, ["a"])["a"].share)

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t as student
from statsmodels.stats.power import TTestPower

from suite.verdict import stats


@pytest.mark.parametrize(("n", "sd"), [(3, 0.4), (5, 0.4), (10, 1.3)])
def test_the_smallest_gain_is_found_at_its_power(n: int, sd: float) -> None:
    gain = stats.smallest_gain(n, sd)
    draws = np.random.default_rng(1).normal(gain, sd, (4000, n))
    t = draws.mean(axis=1) / (draws.std(axis=1, ddof=1) / math.sqrt(n))
    assert np.mean(t > student.ppf(0.95, n - 1)) == pytest.approx(0.8, abs=0.02)


@given(st.integers(2, 30), st.floats(0.05, 5))
def test_so_many_seeds_are_needed_for_the_smallest_gain(n: int, sd: float) -> None:
    gain = stats.smallest_gain(n, sd)
    assert stats.seeds_needed(gain * 1.0001, sd) <= n
    assert stats.seeds_needed(gain * 0.9, sd) >= n


def test_the_ends_of_power() -> None:
    assert stats.smallest_gain(1, 0.4) == math.inf
    assert stats.smallest_gain(5, 0.0) == 0.0
    assert math.isnan(stats.smallest_gain(5, math.nan))
    assert stats.seeds_needed(0.5, 0.0) == 2
    assert stats.seeds_needed(1000.0, 0.1) == 2
    assert stats.seeds_needed(-0.1, 0.4) == math.inf
    assert stats.seeds_needed(0.0, 0.0) == math.inf
    assert math.isnan(stats.seeds_needed(0.5, math.nan))


@settings(deadline=None)
@given(st.integers(2, 60), st.floats(0.01, 4), st.sampled_from([1e-4, 0.01, 0.05, 0.3]))
def test_the_power_is_statsmodels(n: int, effect: float, alpha: float) -> None:
    power = float(TTestPower().power(effect, n, alpha, alternative="larger"))
    if 0.05 < power < 0.999:  # where a solution is well defined
        assert stats.smallest_gain(n, 1.0, alpha, power) == pytest.approx(effect, rel=1e-3)
        assert abs(stats.seeds_needed(effect, 1.0, alpha, power) - n) <= 1


def test_a_gain_that_takes_a_million_pairs_is_found_at_once() -> None:
    needed = stats.seeds_needed(0.001, 0.4)
    assert 0.98e6 < needed < 1.0e6  # (1.645 + 0.842)² · 0.4² / 0.001²

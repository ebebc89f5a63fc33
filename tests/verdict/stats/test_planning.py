from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.power import TTestPower

from suite.verdict.stats import planning
from suite.verdict.stats.gains import holm
from suite.verdict.stats.planning import Forecast
from suite.verdict.stats.sequential import sequential_p_values


def test_a_forecast_is_what_further_gains_do() -> None:
    # Continued one by one, with other random numbers and the p-values themselves.
    gains, rng, ended = [0.4, 1.3, 0.1, 0.9], np.random.default_rng(11), []
    for _ in range(600):
        p_values = sequential_p_values([*gains, *rng.normal(0.8, 0.6, 16)], 20)
        ended.append(next((n for n, p in enumerate(p_values, 1) if p <= 0.05), None))
    found = planning.forecast(gains, 20, 0.05, gain=0.8, sd=0.6, draws=2000)
    assert found.decided == pytest.approx(np.mean([one is not None for one in ended]), abs=0.03)
    expected = np.mean([(20 if one is None else one) - 4 for one in ended])
    assert found.further_pairs == pytest.approx(expected, rel=0.08)


@pytest.mark.parametrize(("effect", "power", "pairs"), [(0.5, 0.59, 15.6), (1.0, 0.988, 9.4), (2.0, 1.0, 5.5)])
def test_before_any_run_it_has_the_power_of_an_independent_simulation(
    effect: float, power: float, pairs: float
) -> None:
    found = planning.forecast([], 20, 0.05, gain=effect, sd=1.0, draws=5000, tests=[(0.0, "greater")])
    assert found.decided == pytest.approx(power, abs=0.02)
    assert found.further_pairs == pytest.approx(pairs, abs=0.15)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(-200, 200).map(lambda gain: gain / 100), max_size=10), st.floats(0.1, 2), st.floats(0.1, 2))
def test_a_forecast_keeps_its_bounds(gains: list[float], gain: float, sd: float) -> None:
    found = planning.forecast(gains, 12, 0.05, gain=gain, sd=sd, draws=50)
    assert 0 <= found.further_pairs <= 12 - len(gains)
    assert 0 <= found.decided <= 1
    assert found == planning.forecast(gains, 12, 0.05, gain=gain, sd=sd, draws=50)
    stricter = planning.forecast(gains, 12, 0.005, gain=gain, sd=sd, draws=50)
    assert stricter.further_pairs >= found.further_pairs
    scaled = planning.forecast([2 * one for one in gains], 12, 0.05, gain=2 * gain, sd=2 * sd, draws=50)
    assert scaled.further_pairs == pytest.approx(found.further_pairs)


def test_what_is_decided_takes_no_pair_and_the_last_pair_leaves_none() -> None:
    decided = planning.forecast([1.0, 1.1, 0.9, 1.0, 1.05], 20, 0.05, gain=1.0, sd=0.1)
    assert decided == Forecast(0.0, 1.0)
    assert planning.forecast([1.0, -1.0, 0.5], 3, 0.05, gain=1.0, sd=1.0) == Forecast(0.0, 0.0)
    unsure = planning.forecast([], 20, 0.05, gain=0.5, sd=0.5, gain_error=1.0)
    sure = planning.forecast([], 20, 0.05, gain=0.5, sd=0.5)
    assert unsure.decided < sure.decided
    smaller = planning.forecast([], 20, 0.05, gain=0.0, sd=0.5, tests=[(2.0, "less")])
    assert smaller.decided > 0.99
    with pytest.raises(ValueError, match="can't go on"):
        planning.forecast([1.0] * 4, 3, 0.05, gain=1.0, sd=1.0)
    with pytest.raises(ValueError, match="can't go on"):
        planning.forecast([1.0], 3, 0.05, gain=1.0, sd=math.nan)


def test_the_next_pair_goes_where_it_decides_soonest_per_hour() -> None:
    forecasts = [Forecast(4.0, 0.9), None, Forecast(3.0, 0.9), Forecast(8.0, 0.5)]
    assert planning.next_claim(forecasts, [1.0, 1.0, 1.0, 1.0]) == 2
    assert planning.next_claim(forecasts, [1.0, 1.0, 2.0, 0.25]) == 3
    # Two pairs that decide in one case of ten cost as much as twenty that always do.
    rarely = [Forecast(2.0, 0.1), Forecast(4.0, 1.0), Forecast(1.0, 0.0)]
    assert planning.next_claim(rarely, [1.0, 1.0, 1.0]) == 1
    assert planning.next_claim([None, None], [1.0, 1.0]) is None
    assert planning.next_claim([], []) is None


@given(st.lists(st.tuples(st.floats(0.01, 5), st.integers(2, 20)), min_size=1, max_size=6), st.floats(0.01, 5))
def test_standard_deviations_are_pooled_and_shrunk(known: list[tuple[float, int]], other: float) -> None:
    sds, pairs = zip(*known, strict=True)
    pooled = planning.pooled_sd(sds, pairs)
    assert min(sds) - 1e-9 <= pooled <= max(sds) + 1e-9
    few, many = planning.shrunken_sd(other, 3, pooled), planning.shrunken_sd(other, 30, pooled)
    low, high = sorted((other, pooled))
    assert low - 1e-9 <= min(few, many) <= max(few, many) <= high + 1e-9
    assert abs(many - other) <= abs(few - other) + 1e-9


def test_standard_deviations_that_are_not_known() -> None:
    assert planning.pooled_sd([0.5, math.nan, 2.0], [3, 1, 1]) == pytest.approx(0.5)
    assert math.isnan(planning.pooled_sd([math.nan], [1]))
    assert planning.shrunken_sd(math.nan, 1, 0.5) == 0.5
    assert planning.shrunken_sd(0.7, 3, math.nan) == 0.7
    # Of draws from two groups it is the standard deviation of both about their own means.
    first, second = np.random.default_rng(0).normal(0, 1, (2, 6))
    residuals = np.concatenate([first - first.mean(), second - second.mean()])
    found = planning.pooled_sd([first.std(ddof=1), second.std(ddof=1)], [6, 6])
    assert found == pytest.approx(math.sqrt(float((residuals**2).sum()) / 10))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=10), st.sampled_from([0.05, 0.2]))
def test_the_level_of_a_claim_is_where_holm_decides(p_values: list[float], alpha: float) -> None:
    for place, adjusted in enumerate(holm(p_values)):
        level = planning.holm_level(p_values, place, alpha)
        assert alpha / len(p_values) <= level <= alpha
        if abs(p_values[place] - level) > 1e-9:
            assert (p_values[place] < level) == (adjusted < alpha)


def test_power_figures_are_at_the_level_of_the_family() -> None:
    alone, among_ten = (planning.power_figures(10, 0.5, 0.6, level) for level in (0.05, 0.005))
    assert alone.smallest_gain < among_ten.smallest_gain
    assert alone.pairs_needed < among_ten.pairs_needed
    for found in (alone, among_ten):
        test = TTestPower()
        assert test.power(found.smallest_gain / 0.5, 10, found.level, alternative="larger") == pytest.approx(
            0.8, abs=1e-4
        )
        assert test.power(0.6 / 0.5, found.pairs_needed, found.level, alternative="larger") >= 0.8
        assert test.power(0.6 / 0.5, found.pairs_needed - 1, found.level, alternative="larger") < 0.8


@pytest.mark.parametrize(("size", "alpha"), [(20, 0.05), (10, 0.005)])
def test_the_smallest_sequential_gain_has_its_power(size: int, alpha: float) -> None:
    gain = planning.smallest_sequential_gain(size, 0.4, alpha)
    rows = np.random.default_rng(8).normal(gain, 0.4, (1500, size))
    found = np.mean([sequential_p_values(one.tolist(), size)[-1] <= alpha for one in rows])
    assert found == pytest.approx(0.8, abs=0.04)
    assert planning.smallest_sequential_gain(size, 0.0, alpha) == 0.0
    assert math.isnan(planning.smallest_sequential_gain(size, math.nan, alpha))

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suite.verdict.stats import e_process
from suite.verdict.stats.images import Interval

some_gains = st.lists(st.integers(-300, 300).map(lambda gain: gain / 100), min_size=1, max_size=20)


def by_definition(gains: list[float]) -> float:
    """E after all gains, term by term."""
    total = 0.0
    for kappa in (0.5, 1.0, 2.0, 4.0):
        product = 1.0
        for i, gain in enumerate(gains, start=1):
            rms = math.sqrt(sum(one * one for one in gains[:i]) / i)
            product *= 2 / (1 + math.exp(-2 * kappa * gain / rms)) if rms else 1.0
        total += product / 4
    return total


@given(some_gains)
def test_the_process_is_that_of_the_definition(gains: list[float]) -> None:
    found = e_process.log_e_values(gains)
    for n in range(1, len(gains) + 1):
        assert found[n - 1] == pytest.approx(math.log(by_definition(gains[:n])), abs=1e-9)


@given(st.lists(st.floats(0.01, 5), min_size=1, max_size=7))
def test_its_mean_over_all_sign_patterns_is_one(sizes: list[float]) -> None:
    # Exactly, for any sizes: this is what makes it a fair game.
    patterns = np.array(list(itertools.product((-1, 1), repeat=len(sizes))))
    found = np.exp(e_process.log_e_values(patterns * np.array(sizes)))
    assert found.mean(axis=0) == pytest.approx(np.ones(len(sizes)), rel=1e-9)


@given(st.lists(st.floats(0.01, 5), min_size=2, max_size=9), st.sampled_from([0.3, 0.1, 0.05, 0.02]))
@settings(deadline=None)
def test_ever_reaching_a_level_is_as_rare_as_the_level(sizes: list[float], alpha: float) -> None:
    patterns = np.array(list(itertools.product((-1, 1), repeat=len(sizes))))
    highest = np.exp(e_process.log_e_values(patterns * np.array(sizes))).max(axis=1)
    assert np.mean(highest >= 1 / alpha) <= alpha


@given(some_gains)
def test_p_values_never_rise_and_never_change_what_was_said(gains: list[float]) -> None:
    found = e_process.e_process_p_values(gains)
    assert all(later <= earlier for earlier, later in itertools.pairwise(found))
    assert found[-1] == e_process.e_process_p(gains)
    assert all(0.5**n <= p <= 1 for n, p in enumerate(found, start=1))
    for n in range(1, len(gains)):
        assert e_process.e_process_p_values(gains[:n]) == pytest.approx(found[:n])
    assert e_process.e_process_p([-gain for gain in gains], side="less") == found[-1]


@given(some_gains, st.sampled_from([1e-200, 0.01, 100.0, 1e200]))
def test_units_do_not_matter(gains: list[float], unit: float) -> None:
    scaled = e_process.e_process_p([unit * gain for gain in gains])
    assert scaled == pytest.approx(e_process.e_process_p(gains), rel=1e-6)


def test_other_nulls_and_both_ends() -> None:
    gains = np.random.default_rng(1).normal(1.0, 0.1, 15).tolist()
    assert e_process.e_process_p(gains, 0.5) < 0.01
    assert e_process.e_process_p(gains, 1.5, "less") < 0.01
    assert e_process.e_process_p(gains, 1.5) == 1.0
    both = e_process.e_process_equivalence(gains, 1.0, 0.5)
    assert both == max(e_process.e_process_p(gains, 0.5), e_process.e_process_p(gains, 1.5, "less"))
    with pytest.raises(ValueError, match="margin must be positive"):
        e_process.e_process_equivalence(gains, 1.0, 0.0)


def test_how_few_pairs_can_decide() -> None:
    for alpha in (0.1, 0.05, 0.005):
        n = e_process.least_pairs(alpha)
        assert e_process.e_process_p([0.7] * n) <= alpha < e_process.e_process_p([0.7] * (n - 1))
    assert e_process.least_pairs(0.05) == 5


@given(st.lists(st.integers(-300, 300).map(lambda gain: gain / 100), min_size=6, max_size=20), st.floats(-4, 4))
@settings(deadline=None)
def test_what_the_interval_excludes_is_rejected(gains: list[float], centre: float) -> None:
    found = e_process.e_process_interval(gains)
    assert found.low <= found.high
    if centre < found.low - 1e-6:
        assert e_process.e_process_p(gains, centre) <= 0.025
    if centre > found.high + 1e-6:
        assert e_process.e_process_p(gains, centre, "less") <= 0.025
    if max(gains) > min(gains) and math.isfinite(found.low):
        scaled = e_process.e_process_interval([2 * gain + 1 for gain in gains])
        assert (scaled.low, scaled.high) == pytest.approx((2 * found.low + 1, 2 * found.high + 1), abs=1e-5)


def test_the_interval_is_infinite_with_few_pairs_and_a_point_of_equal_ones() -> None:
    n = e_process.least_pairs(0.025)
    few, infinite = np.random.default_rng(0).normal(1, 0.1, n - 1).tolist(), (-math.inf, math.inf)
    assert (e_process.e_process_interval(few).low, e_process.e_process_interval(few).high) == infinite
    assert e_process.e_process_interval([1.0] * n) == Interval(1.0, 1.0)
    many = e_process.e_process_interval(np.random.default_rng(0).normal(1, 0.1, 20).tolist())
    assert 0.8 < many.low < 1.0 < many.high < 1.2


def test_all_intervals_of_a_path_hold_the_centre_together() -> None:
    rng, draws, missed = np.random.default_rng(6), 200, 0
    for gains in 1.0 + rng.standard_t(3, (draws, 16)):
        looks = [e_process.e_process_interval(gains[:n].tolist()) for n in (6, 8, 11, 16)]
        missed += not all(look.low <= 1.0 <= look.high for look in looks)
    assert missed / draws <= 0.05 + 3 * math.sqrt(0.05 / draws)


def test_gains_of_nothing_say_nothing() -> None:
    assert e_process.e_process_p([]) == 1.0
    assert e_process.e_process_p([0.0, 0.0, 0.0]) == 1.0
    assert e_process.e_process_p([0.0, 1.0, 0.0]) > 0.5
    with pytest.raises(ValueError, match="finite"):
        e_process.e_process_p([1.0, math.inf])


def test_a_real_gain_is_found_and_none_is_not() -> None:
    rng = np.random.default_rng(5)
    real = np.exp(-e_process.log_e_values(rng.normal(1.0, 1.0, (2000, 20))).max(axis=1))
    none = np.exp(-e_process.log_e_values(rng.standard_t(3, (4000, 20))).max(axis=1))
    assert np.mean(real <= 0.05) > 0.85
    assert 0.01 < np.mean(none <= 0.05) < 0.045

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_rel
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import ttost_paired

from suite.verdict import stats

# Gains as accuracies give them: whole test images of 10,000, so that equal ones are equal.
points = st.integers(-500, 500).map(lambda images: images / 100)
gain_lists = st.lists(points, min_size=2, max_size=12)


@given(st.lists(st.tuples(points, points), min_size=2, max_size=12))
def test_the_paired_gain_is_scipys_paired_t_test(pairs: list[tuple[float, float]]) -> None:
    baseline, treatment = (np.array(side) for side in zip(*pairs, strict=True))
    gains = treatment - baseline
    found = stats.paired_gain(gains)
    assert found.mean == pytest.approx(gains.mean())
    if found.identical:
        return
    test = ttest_rel(treatment, baseline, alternative="greater")
    interval = ttest_rel(treatment, baseline).confidence_interval(0.95)
    assert found.p_greater == pytest.approx(test.pvalue, abs=1e-9)
    assert found.p_less == pytest.approx(1 - test.pvalue, abs=1e-9)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), abs=1e-9)
    assert found.sd == pytest.approx(np.std(gains, ddof=1))


@given(gain_lists)
def test_turning_the_gains_round_swaps_the_directions(gains: list[float]) -> None:
    found, turned = stats.paired_gain(gains), stats.paired_gain([-gain for gain in gains])
    assert (found.p_greater, found.p_less) == pytest.approx((turned.p_less, turned.p_greater))
    assert (found.low, found.high) == pytest.approx((-turned.high, -turned.low))


@given(gain_lists)
def test_a_p_value_below_alpha_means_an_interval_above_zero(gains: list[float]) -> None:
    found = stats.paired_gain(gains)
    if not found.identical:  # the 95 % interval is two-sided: 2.5 % on each side
        assert (found.p_greater < 0.025 - 1e-9) <= (found.low > 0)
        assert (found.p_greater > 0.025 + 1e-9) <= (found.low <= 0)


@given(gain_lists)
def test_the_sign_flip_counts_the_patterns(gains: list[float]) -> None:
    gains = gains[:7]
    signs = np.array(np.meshgrid(*[[-1, 1]] * len(gains))).reshape(len(gains), -1)
    means = np.array(gains) @ signs
    expected = np.mean(means >= sum(gains) - 1e-9)
    assert stats.sign_flip(gains) == pytest.approx(expected)
    assert stats.sign_flip(gains) >= stats.smallest_sign_flip_p(len(gains))
    assert stats.sign_flip([-gain for gain in gains], "less") == pytest.approx(stats.sign_flip(gains))


def test_the_sign_flip_of_many_pairs_is_drawn_and_the_same_every_time() -> None:
    gains = np.random.default_rng(0).normal(0.3, 1, 20)
    assert stats.sign_flip(gains) == stats.sign_flip(gains)
    assert stats.sign_flip(gains) == pytest.approx(stats.paired_gain(gains).p_greater, abs=0.02)
    assert stats.smallest_sign_flip_p(20) == 1e-4


@pytest.mark.parametrize("n", [1, 3, 5, 13])
def test_the_smallest_sign_flip_p_is_reached(n: int) -> None:
    assert stats.sign_flip([0.1 * (k + 1) for k in range(n)]) == pytest.approx(stats.smallest_sign_flip_p(n))


def test_one_pair_or_none_tests_nothing() -> None:
    for gains in ([], [0.4]):
        found = stats.paired_gain(gains)
        assert (found.p_greater, found.p_less) == (1.0, 1.0)
        assert math.isnan(found.sd)
        assert math.isnan(found.low)
        assert math.isnan(found.high)
        assert not found.identical
        assert stats.equivalence(gains, 0.4, 0.2) == 1.0
    assert stats.paired_gain([0.4]).mean == 0.4
    assert (stats.sign_flip([]), stats.sign_flip([0.4]), stats.sign_flip([-0.4])) == (1.0, 0.5, 1.0)
    assert stats.smallest_sign_flip_p(0) == 1.0


def test_identical_pairs_get_the_exact_p_instead_of_zero() -> None:
    # As floating-point numbers these differ in their last digits: 93.6 − 93.3 and 95.9 − 95.6.
    gains = [93.6 - 93.3, 95.9 - 95.6, 0.3]
    found = stats.paired_gain(gains)
    assert found.identical
    assert (found.sd, found.p_greater, found.p_less) == (0.0, 0.125, 1.0)
    assert found.low == found.high == pytest.approx(0.3)
    assert stats.equivalence(gains, 0.4, 0.2) == 0.125
    assert stats.equivalence(gains, 0.8, 0.2) == 1.0
    assert stats.paired_gain([0.0] * 6).p_greater == stats.paired_gain([0.0] * 6).p_less == 1.0


@given(gain_lists, points, st.floats(0.05, 3))
def test_equivalence_needs_the_mean_within_the_margin(gains: list[float], target: float, margin: float) -> None:
    p = stats.equivalence(gains, target, margin)
    assert 0 <= p <= 1
    if abs(np.mean(gains) - target) > margin + 1e-6:
        assert p >= 0.5


def test_equivalence_is_shown_by_close_gains_and_not_by_scattered_ones() -> None:
    assert stats.equivalence([0.79, 0.85, 0.88, 0.81, 0.84], 0.84, 0.42) < 0.001
    assert stats.equivalence([-1.0, 2.7, 0.2, 1.9, 0.4], 0.84, 0.42) > 0.2
    with pytest.raises(ValueError, match="margin"):
        stats.equivalence([0.1, 0.2], 0.1, 0.0)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_by_its_definition(p_values: list[float]) -> None:
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    expected, largest = [0.0] * len(p_values), 0.0
    for step, index in enumerate(order):
        largest = max(largest, min(1.0, p_values[index] * (len(p_values) - step)))
        expected[index] = largest
    assert stats.holm(p_values) == pytest.approx(expected)


def test_holm_of_nothing() -> None:
    assert stats.holm([]) == []


def test_what_can_reach_alpha() -> None:
    assert not stats.can_reach(0.05, 1)
    assert stats.can_reach(0.05, 2)
    assert not stats.can_reach(0.05, 4, identical=True)
    assert stats.can_reach(0.05, 5, identical=True)


def test_type_one_errors_come_as_often_as_alpha_says() -> None:
    draws = np.random.default_rng(7).normal(0.0, 0.4, (2000, 5))
    rate = np.mean([stats.paired_gain(gains).p_greater < 0.05 for gains in draws])
    assert rate == pytest.approx(0.05, abs=3 * math.sqrt(0.05 * 0.95 / 2000))


def test_the_interval_covers_the_true_gain_as_often_as_it_says() -> None:
    draws = np.random.default_rng(8).normal(0.6, 0.4, (2000, 4))
    found = [stats.paired_gain(gains) for gains in draws]
    assert np.mean([one.low < 0.6 < one.high for one in found]) == pytest.approx(0.95, abs=0.015)


def test_spread_is_that_of_a_sample() -> None:
    assert stats.spread([1.0, 2.0, 4.0]).sd == pytest.approx(math.sqrt(7 / 3))
    assert math.isnan(stats.spread([1.0]).sd)
    assert math.isnan(stats.spread([]).mean)
    with pytest.raises(ValueError, match="finite"):
        stats.spread([1.0, math.nan])


def test_correlation_needs_three_pairs_that_vary() -> None:
    assert stats.correlation([1, 2, 3], [2, 4, 6.1]) == pytest.approx(1.0, abs=0.01)
    assert math.isnan(stats.correlation([1, 2], [2, 4]))
    assert math.isnan(stats.correlation([1, 1, 1], [2, 4, 5]))


@settings(deadline=None)
@given(gain_lists, points, st.floats(0.05, 3))
def test_equivalence_is_statsmodels_tost(gains: list[float], target: float, margin: float) -> None:
    if not stats.paired_gain(gains).identical:  # of equal numbers numpy's deviation may be a rounding error above zero
        expected, _, _ = ttost_paired(np.array(gains), np.zeros(len(gains)), target - margin, target + margin)
        assert stats.equivalence(gains, target, margin) == pytest.approx(expected, abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_is_statsmodels(p_values: list[float]) -> None:
    assert stats.holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1])

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import skew
from statsmodels.regression.linear_model import OLS

from suite.verdict.stats import influence
from suite.verdict.stats.gains import paired_gain

some_gains = st.lists(st.integers(-300, 300).map(lambda gain: gain / 100), min_size=4, max_size=15, unique=True)


@given(some_gains)
def test_the_farthest_pair_is_the_outlier_of_statsmodels(gains: list[float]) -> None:
    found = influence.farthest_pair(gains)
    assert found is not None
    test = OLS(gains, np.ones(len(gains))).fit().outlier_test("bonferroni")
    assert abs(test[found.place][0]) == pytest.approx(np.abs(test[:, 0]).max())
    assert found.p_outlier == pytest.approx(test[found.place][2])
    assert found.gain == gains[found.place]
    assert found.without == influence.leave_one_out(gains)[found.place]


@given(some_gains, st.floats(-5, 5), st.floats(0.1, 10))
def test_units_and_a_shift_do_not_matter(gains: list[float], shift: float, unit: float) -> None:
    first, second = influence.farthest_pair(gains), influence.farthest_pair([shift + unit * gain for gain in gains])
    assert first is not None
    assert second is not None
    assert second.p_outlier == pytest.approx(first.p_outlier, rel=1e-6)
    assert influence.skewness([shift + unit * gain for gain in gains]).value == pytest.approx(
        influence.skewness(gains).value, abs=1e-7
    )


def test_one_influential_seed_is_seen() -> None:
    gains = [0.1, -0.1, 0.0, 0.2, -0.05, 6.0]
    found = influence.farthest_pair(gains)
    assert found is not None
    assert (found.place, found.gain) == (5, 6.0)
    assert found.p_outlier < 1e-4
    assert found.without == paired_gain(gains[:5])


def test_normal_gains_have_an_outlier_as_rarely_as_the_level() -> None:
    rows = np.random.default_rng(0).normal(1, 0.5, (3000, 6))
    found = [influence.farthest_pair(one.tolist()) for one in rows]
    share = np.mean([one.p_outlier <= 0.05 for one in found if one is not None])
    assert 0.035 < share < 0.063


def test_what_a_verdict_hangs_on() -> None:
    gains = [1.0, 1.1, 0.9, 1.2, -0.9]
    p = paired_gain(gains).p_greater
    assert p > 0.05
    assert influence.significance_hangs_on(gains, 0.05) == (4,)
    assert influence.significance_hangs_on([-gain for gain in gains], 0.05, "less") == (4,)
    assert influence.significance_hangs_on([1.0, 1.1, 0.9, 1.2, 1.0], 0.05) == ()
    # Only just significant: without any pair but the smallest it wouldn't be.
    hangs = influence.significance_hangs_on(
        [0.1, 1.0, 1.1, 1.2, 0.9], paired_gain([0.1, 1.0, 1.1, 1.2, 0.9]).p_greater * 1.01
    )
    assert hangs == (1, 2, 3, 4)


@given(some_gains)
def test_skewness_is_scipys_and_turns_with_the_gains(gains: list[float]) -> None:
    found, turned = influence.skewness(gains), influence.skewness([-gain for gain in gains])
    assert found.value == pytest.approx(float(skew(gains, bias=False)), abs=1e-9)
    assert (turned.value, turned.p) == pytest.approx((-found.value, found.p), abs=1e-3)
    assert 0 < found.p <= 1


@pytest.mark.parametrize("n", [3, 5, 10])
def test_normal_gains_are_called_skewed_as_rarely_as_the_level(n: int) -> None:
    rows = np.random.default_rng(1).normal(1, 0.5, (3000, n))
    share = np.mean([influence.skewness(one.tolist()).p <= 0.1 for one in rows])
    assert abs(share - 0.1) < 4 * math.sqrt(0.09 / 3000)


def test_skewed_gains_are_seen_with_many_pairs() -> None:
    rows = -np.random.default_rng(2).exponential(1, (500, 20))
    found = [influence.skewness(one.tolist()) for one in rows]
    assert np.mean([one.p <= 0.05 and one.value < 0 for one in found]) > 0.7


def test_the_ends() -> None:
    assert influence.farthest_pair([1.0, 2.0]) is None
    assert influence.farthest_pair([1.0] * 5) is None
    found = influence.farthest_pair([1.0, 1.0, 2.0, 1.0])
    assert found is not None
    assert found.place == 2
    assert math.isnan(found.p_outlier)
    assert math.isnan(influence.skewness([1.0] * 5).value)
    assert math.isnan(influence.skewness([1.0, 2.0]).p)
    assert influence.leave_one_out([]) == ()


def test_room_below_the_ceiling() -> None:
    assert influence.room(98.5) == 1.5
    assert influence.room(1.5, "less") == 1.5
    assert influence.lacks_room(98.5, 3.0, 1.0)
    assert not influence.lacks_room(98.5, 2.0, 1.0)
    assert influence.lacks_room(1.5, -3.0, 1.0, "less")
    assert not influence.lacks_room(50.0, 3.0, 1.0)

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import betaincinv, stdtrit
from scipy.stats import t as student
from scipy.stats import ttest_1samp

from benchmarks.null_table import SIZES, draw_statistics, levels
from benchmarks.null_table import prefix_p_values as simulated_p_values
from suite.verdict.stats import sequential
from suite.verdict.stats.gains import equivalence, paired_gain
from suite.verdict.stats.images import Interval

GAINS = (0.9, 0.2, 1.4, 0.8, 1.1, 0.3, 1.9, 0.7)
some_gains = st.lists(st.integers(-300, 300).map(lambda gain: gain / 100), min_size=1, max_size=20)


def crossed_by(constant: float, last: int, nodes: int = 500, steps: int = 1500) -> float:
    """P(p_k ≤ constant · k for some k = 3 … last) of normal gains without a mean, without any random number.

    The direction of a vector of normal numbers doesn't depend on its length. So the cosine v_k between the first k
    gains and (1, …, 1) is a Markov chain, and t_k = v √(k − 1) / √(1 − v²). v_3 is uniform (Archimedes); the share q of
    the next gain in the length is 2 B − 1, with B of a Beta(k/2, k/2) distribution.
    """

    def bound(k: int) -> float:
        t = float(-stdtrit(k - 1, min(constant * k, 1.0)))
        return t / math.sqrt(t * t + k - 1)

    later: tuple[np.ndarray, np.ndarray] | None = None  # cosines, and the probability of crossing after them
    for k in range(last - 1, 2, -1):
        at = bound(k) - (bound(k) + 1) * np.linspace(1, 0, nodes) ** 2
        q = 2 * betaincinv(k / 2, k / 2, (np.arange(steps) + 0.5) / steps) - 1
        following = (math.sqrt(k) * at[:, None] * np.sqrt(1 - q**2) + q) / math.sqrt(k + 1)
        after = 0.0 if later is None else np.interp(following, *later)
        later = at, np.where(following >= bound(k + 1), 1.0, after).mean(axis=1)
    assert later is not None
    return 3 * constant + float(np.trapezoid(later[1], later[0])) / 2


@pytest.mark.parametrize("size", [4, 7, 20, 40])
@pytest.mark.parametrize("alpha", [0.3, 0.05, 0.025, 0.005])
def test_the_table_has_the_levels_of_an_exact_recursion(size: int, alpha: float) -> None:
    constant = sequential.critical_constant(size, alpha)
    exact = crossed_by(constant / size, size, *((1200, 4000) if alpha < 0.01 else (500, 1500)))
    assert 0.975 * alpha < exact < 1.004 * alpha


def test_the_constants_of_twenty_pairs() -> None:
    # Found by another simulation, of 200,000 draws: their standard errors are 1.1, 1.5 and 3.7 %.
    for alpha, constant, error in ((0.05, 0.01737, 0.011), (0.025, 0.00765, 0.015), (0.005, 0.00121, 0.037)):
        assert sequential.critical_constant(20, alpha) == pytest.approx(constant, rel=2.5 * error)


def test_another_simulation_finds_the_table() -> None:
    draws = 60_000
    found = draw_statistics(SIZES, draws, "a test of the table")
    for size, statistics in zip(SIZES, found, strict=True):
        for level in (0.5, 0.1, 0.05, 0.025, 0.005, 0.001):
            at = sequential.critical_constant(size, level)
            share = float(np.mean(statistics <= at))
            assert abs(share - level) < 4.5 * math.sqrt(level / draws) + 0.02 * level


def test_the_table_rises_and_is_cautious_between_its_levels() -> None:
    assert len(levels()) == 81
    for size in SIZES:
        constants = [sequential.critical_constant(size, level) for level in (1e-7, 5e-5, *levels())]
        assert all(np.diff(constants) > 0)
        between = [math.sqrt(low * high) for low, high in pairwise(constants[2:])]
        p_values = [sequential.null_probability(one, size) for one in between]
        assert all(low < p < high for low, p, high in zip(levels(), p_values, levels()[1:], strict=False))
        assert sequential.null_probability(1e-9, size) >= 1e-9  # the last prefix alone
        assert sequential.null_probability(1.5, size) == 1.0
    # With three pairs there is one look, and G is the level itself.
    assert sequential.null_probability(0.02, 3) == pytest.approx(0.02, rel=0.01)
    assert sequential.null_probability(0.02, 3) >= 0.02


@given(st.floats(1e-9, 1), st.floats(1e-9, 1), st.integers(3, 100))
def test_the_null_distribution_is_monotone_and_inverted(first: float, second: float, size: int) -> None:
    low, high = sorted((first, second))
    assert sequential.null_probability(low, size) <= sequential.null_probability(high, size)
    assert sequential.null_probability(sequential.critical_constant(size, low), size) == pytest.approx(low, rel=1e-6)


@pytest.mark.parametrize("size", [31, 45, 60, 99])
def test_a_number_that_the_table_lacks_is_taken_as_a_larger_one(size: int) -> None:
    larger = min(one for one in SIZES if one >= size)
    looks = range(3, size + 1)
    for n in looks:
        assert sequential.critical_t(n, size, 0.05) == pytest.approx(sequential.critical_t(n, larger, 0.05))
    p = sequential.sequential_p(GAINS, size)
    assert p == pytest.approx(sequential.sequential_p(GAINS, larger))


@settings(deadline=None)
@given(some_gains, st.floats(-1, 1), st.sampled_from(["greater", "less"]))
def test_prefixes_have_the_p_values_of_scipy(gains: list[float], null: float, side: str) -> None:
    found = sequential.prefix_p_values(gains, null, side)  # type: ignore[arg-type]
    for k, p in enumerate(found, start=1):
        if k < 3:
            assert p == 1.0
        elif np.std(gains[:k]) > 1e-6:
            assert p == pytest.approx(ttest_1samp(gains[:k], null, alternative=side).pvalue, rel=1e-6, abs=1e-12)
        else:  # equal gains: the exact test
            turned = [gain - null if side == "greater" else null - gain for gain in gains[:k]]
            assert p == paired_gain(turned).p_greater


def test_the_simulation_has_the_p_values_of_the_verdicts() -> None:
    rows = np.random.default_rng(4).normal(0.3, 1, (50, 12))
    expected = sequential.prefix_p_values(rows)
    for k, p in simulated_p_values(rows):
        assert p == pytest.approx(expected[:, k - 1], rel=1e-9)


def test_the_p_value_is_that_of_the_definition() -> None:
    tested = [float(ttest_1samp(GAINS[:k], 0, alternative="greater").pvalue) * 12 / k for k in range(3, 9)]
    assert sequential.sequential_p(GAINS, 12) == pytest.approx(sequential.null_probability(min(tested), 12))


@given(some_gains, st.integers(20, 40))
def test_looking_again_never_raises_a_p_value_nor_changes_what_was_said(gains: list[float], size: int) -> None:
    found = sequential.sequential_p_values(gains, size)
    assert all(later <= earlier for earlier, later in pairwise(found))
    assert found[-1] == sequential.sequential_p(gains, size)
    for n in range(1, len(gains)):
        assert found[:n] == sequential.sequential_p_values(gains[:n], size)


@given(some_gains, st.floats(0.01, 100), st.sampled_from(["greater", "less"]))
def test_units_and_sides_do_not_matter(gains: list[float], unit: float, side: str) -> None:
    found = sequential.sequential_p(gains, 20, 0.5, side)  # type: ignore[arg-type]
    scaled = sequential.sequential_p([unit * gain for gain in gains], 20, 0.5 * unit, side)  # type: ignore[arg-type]
    assert scaled == pytest.approx(found, rel=1e-4)
    other = "less" if side == "greater" else "greater"
    turned = sequential.sequential_p([-gain for gain in gains], 20, -0.5, other)  # type: ignore[arg-type]
    assert turned == found


@given(some_gains, st.floats(-2, 2), st.floats(0, 2))
def test_a_larger_null_is_harder_to_exceed(gains: list[float], null: float, more: float) -> None:
    assert sequential.sequential_p(gains, 20, null) <= sequential.sequential_p(gains, 20, null + more) + 1e-6


def test_equivalence_is_the_worse_of_two_sides() -> None:
    gains = np.random.default_rng(0).normal(1.0, 0.2, 10)
    low = sequential.sequential_p(gains, 20, 0.5)
    high = sequential.sequential_p(gains, 20, 1.5, "less")
    found = sequential.sequential_equivalence(gains, 1.0, 0.5, 20)
    assert found == max(low, high) < 0.05
    assert equivalence(gains, 1.0, 0.5) < found  # a single look is cheaper
    with pytest.raises(ValueError, match="margin must be positive"):
        sequential.sequential_equivalence(gains, 1.0, 0.0, 20)


def test_the_repeated_interval_is_wider_by_its_constant() -> None:
    found = sequential.repeated_interval(GAINS, 20)
    c = sequential.critical_constant(20, 0.025)
    half = student.ppf(1 - c * 8 / 20, 7) * np.std(GAINS, ddof=1) / math.sqrt(8)
    assert (found.low, found.high) == pytest.approx((np.mean(GAINS) - half, np.mean(GAINS) + half))
    single = paired_gain(GAINS)
    assert found.low < single.low < single.high < found.high
    assert sequential.repeated_interval(GAINS[:2], 20) == Interval(-math.inf, math.inf)
    assert sequential.repeated_interval([], 20) == Interval(-math.inf, math.inf)
    # 2^-n ≤ 0.0076 n / 20 from n = 9 on.
    assert sequential.repeated_interval([0.5] * 8, 20) == Interval(-math.inf, math.inf)
    assert sequential.repeated_interval([0.5] * 9, 20) == Interval(0.5, 0.5)


@given(some_gains.filter(lambda gains: len(gains) >= 3 and np.std(gains) > 0.01), st.floats(-3, 3))
def test_interval_boundary_and_p_value_say_the_same(gains: list[float], null: float) -> None:
    # What a look's own interval excludes is rejected at that look, or was before.
    looks = sequential.look_path(gains, 20, 0.025, null=null)
    decided = False
    for look in looks:
        if abs(look.mean - look.boundary) < 1e-6:
            return
        decided = decided or look.mean > look.boundary
        assert (look.low > null) == (look.mean > look.boundary)
        assert decided == (look.p <= 0.025)
    assert looks[0].p == looks[1].p == 1.0
    assert (looks[1].boundary, looks[1].low) == (math.inf, -math.inf)


def test_the_boundary_of_the_other_side() -> None:
    below = sequential.look_path([-gain for gain in GAINS], 20, side="less")[-1]
    above = sequential.look_path(GAINS, 20)[-1]
    assert (below.boundary, below.p) == (-above.boundary, above.p)


def test_equal_gains_count_by_signs_alone() -> None:
    # 2^-k ≤ 0.0173 k / 20 from k = 8 on.
    found = sequential.sequential_p_values([1.1] * 10, 20)
    assert [p <= 0.05 for p in found] == [False] * 7 + [True] * 3
    assert sequential.sequential_p([0.0] * 10, 20) == 1.0


def test_no_gain_and_all_looks_are_kept_at_their_level() -> None:
    rng, draws = np.random.default_rng(2), 4000
    weighted = sequential.prefix_p_values(rng.normal(0, 0.7, (draws, 20))) * 20 / np.arange(1, 21)
    wrong = np.mean([sequential.null_probability(one, 20) <= 0.05 for one in weighted.min(axis=1)])
    assert abs(wrong - 0.05) < 4 * math.sqrt(0.05 * 0.95 / draws)


def test_all_intervals_of_a_path_hold_the_truth_together() -> None:
    rng, draws, missed = np.random.default_rng(3), 1500, 0
    for gains in rng.normal(1.0, 0.5, (draws, 20)):
        looks = [sequential.repeated_interval(gains[:n], 20) for n in range(3, 21)]
        missed += not all(look.low <= 1.0 <= look.high for look in looks)
    assert missed / draws < 0.05 + 3 * math.sqrt(0.05 / draws)
    assert missed / draws > 0.025


def test_what_can_not_be_looked_at() -> None:
    assert sequential.sequential_p([], 20) == 1.0
    for size in (2, 101):
        with pytest.raises(ValueError, match="from 3 to 100"):
            sequential.sequential_p(GAINS, size)
    with pytest.raises(ValueError, match="at most 5 pairs were planned"):
        sequential.repeated_interval(GAINS, 5)
    with pytest.raises(ValueError, match="a level lies between"):
        sequential.critical_constant(20, 0.0)
    with pytest.raises(ValueError, match="finite"):
        sequential.sequential_p([1.0, math.nan, 2.0], 20)

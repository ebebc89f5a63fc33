from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest, hypergeom

from suite.verdict.stats.collapse import LEVEL, chance_limit, compare_failures, gain_without, never_trained
from suite.verdict.stats.gains import paired_gain


@given(st.integers(1, 12_000), st.integers(2, 1000), st.floats(0, 1))
def test_the_rule_is_the_exact_binomial_test(images: int, classes: int, share: float) -> None:
    # Around chance, where it matters.
    correct = min(images, round(images / classes + share * 8 * math.sqrt(images / classes + 1)))
    p = binomtest(correct, images, 1 / classes, alternative="greater").pvalue
    if abs(p - LEVEL) > 1e-9:
        assert never_trained(100 * correct / images, images, classes) == (p > LEVEL)


@given(st.integers(1, 12_000), st.integers(2, 1000), st.sampled_from([0.05, 0.001]))
def test_the_limit_is_the_largest_accuracy_of_guessing(images: int, classes: int, level: float) -> None:
    limit = chance_limit(images, classes, level)
    assert never_trained(limit, images, classes, level)
    if limit < 100:
        assert not never_trained(limit + 100 / images, images, classes, level)
    assert limit == pytest.approx(100 * binom.isf(level, images, 1 / classes) / images)


def test_runs_near_chance_and_others() -> None:
    assert never_trained(10.0, 10_000, 10)
    assert not never_trained(12.0, 10_000, 10)
    assert never_trained(12.0, 602, 10)  # on fewer images it may be luck
    assert never_trained(0.0, 602, 10)
    assert not never_trained(97.0, 602, 10)
    assert never_trained(100.0, 3, 2)  # three images can't tell
    assert chance_limit(10_000, 10) == pytest.approx(10.93, abs=0.05)


def test_guessing_is_rarely_taken_for_training() -> None:
    right = np.random.default_rng(0).binomial(602, 0.1, 200_000)
    counts, times = np.unique(right, return_counts=True)
    taken = sum(n for count, n in zip(counts, times, strict=True) if not never_trained(100 * count / 602, 602, 10))
    assert taken / 200_000 <= LEVEL + 4 * math.sqrt(LEVEL / 200_000)


@given(st.integers(0, 8), st.integers(0, 8), st.integers(0, 8), st.integers(0, 8))
def test_rates_are_compared_by_fishers_test(first: int, more: int, second: int, others: int) -> None:
    n, m = first + more, second + others
    found = compare_failures(first, n, second, m)
    # By its definition: all tables with the same margins that are no more likely.
    spread = hypergeom(n + m, first + second, n)
    likely = spread.pmf(first)
    p = sum(spread.pmf(k) for k in range(min(n, first + second) + 1) if spread.pmf(k) <= likely * (1 + 1e-7))
    assert found.p == pytest.approx(p if n and m else 1.0)
    assert compare_failures(second, m, first, n).p == pytest.approx(found.p)


def test_failures_of_digits_runs() -> None:
    # One of five against none of five is no difference that five runs can show.
    found = compare_failures(1, 5, 0, 5)
    assert (found.baseline, found.treatment, found.p) == (1, 0, 1.0)
    assert compare_failures(5, 5, 0, 5).p < 0.01
    assert compare_failures(0, 5, 0, 5).p == 1.0


def test_the_gain_with_and_without_pairs() -> None:
    gains = [87.0, 1.0, 1.2, 0.8, 1.1]
    without = gain_without(gains, {0})
    assert without == paired_gain(gains[1:])
    assert without.p_greater < 0.001 < 0.05 < paired_gain(gains).p_greater
    assert gain_without(gains, ()) == paired_gain(gains)
    assert gain_without(gains, range(5)).n == 0


def test_what_can_not_be() -> None:
    for numbers in ((2, 1, 0, 5), (0, 5, -1, 5)):
        with pytest.raises(ValueError, match="can't have failed"):
            compare_failures(*numbers)
    with pytest.raises(ValueError, match="between 0 and 100"):
        never_trained(math.nan, 10, 2)
    for images, classes in ((0, 10), (10, 1)):
        with pytest.raises(ValueError, match="at least one image"):
            chance_limit(images, classes)

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from statsmodels.stats.contingency_tables import mcnemar

from suite.verdict import stats


def differences(pairs: int, images: int, seed: int = 0) -> stats.Differences:
    return np.random.default_rng(seed).choice((-1, 0, 1), (pairs, images), p=(0.2, 0.5, 0.3)).astype(np.int8)


def test_the_bootstrap_draws_pairs_and_images_with_replacement() -> None:
    # Of two pairs and two images all 4 × 4 draws can be listed; with many draws each comes as often.
    one = np.array([[1, 0], [0, 0]], dtype=np.int8)
    gains = [
        100 * float(one[np.ix_(pairs, images)].mean())
        for pairs in itertools.product(range(2), repeat=2)
        for images in itertools.product(range(2), repeat=2)
    ]
    for level in (0.2, 0.5, 0.8):
        (found,) = stats.bootstrap_gains([one], [1], 2, level=level, draws=40_000)
        expected = np.quantile(np.repeat(gains, 1000), ((1 - level) / 2, (1 + level) / 2))
        assert (found.low, found.high) == pytest.approx(expected)


def test_the_spread_of_the_bootstrap_is_that_of_crossed_draws() -> None:
    # Its variance by Owen's formula: the pairs' and the images' plug-in variances, and the rest.
    one = differences(6, 400)
    difference = 100 * one.astype(float)
    n, m = difference.shape
    by_pair, by_image = difference.mean(axis=1), difference.mean(axis=0)
    rest = difference - by_pair[:, None] - by_image + difference.mean()
    variance = by_pair.var() / n + by_image.var() / m + (rest**2).mean() / (n * m)
    (found,) = stats.bootstrap_gains([one], [3], 4, draws=20_000)
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * np.sqrt(variance), rel=0.03)
    assert (found.high + found.low) / 2 == pytest.approx(difference.mean(), abs=0.1)


def test_without_a_spread_of_pairs_the_images_remain() -> None:
    one = differences(1, 500)
    (found,) = stats.bootstrap_gains([one.repeat(4, axis=0)], [0], 0)
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * 100 * one.std() / np.sqrt(500), rel=0.08)


def test_a_contrast_has_the_same_interval_alone_and_among_others() -> None:
    many, seeds = [differences(n, 5000, n) for n in (2, 5, 9)], [7, 8, 9]
    together = stats.bootstrap_gains(many, seeds, 1)
    assert together == [stats.bootstrap_gains([one], [seed], 1)[0] for one, seed in zip(many, seeds, strict=True)]
    assert together != stats.bootstrap_gains(many, [1, 2, 3], 1)
    assert together != stats.bootstrap_gains(many, seeds, 2)
    assert stats.bootstrap_gains([], [], 0) == []


def test_all_contrasts_need_the_same_images_and_some_pairs() -> None:
    for many in ([differences(3, 10), differences(3, 9)], [differences(0, 10)], [differences(3, 0)]):
        with pytest.raises(ValueError, match="same images"):
            stats.bootstrap_gains(many, [0] * len(many), 0)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=1, max_size=5))
def test_mcnemar_is_the_exact_binomial_test(counts: list[tuple[int, int]]) -> None:
    found = stats.mcnemar(*zip(*counts, strict=True))
    for p, (gained, lost) in zip(found, counts, strict=True):
        expected = binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
        assert p == pytest.approx(expected)
        assert p == pytest.approx(mcnemar([[5, gained], [lost, 5]], exact=True).pvalue)

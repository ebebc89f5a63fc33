from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from statsmodels.stats.contingency_tables import mcnemar

from suite import stats


def answers(pairs: int, images: int, share: float, seed: int = 0) -> stats.Bits:
    return np.random.default_rng(seed).random((pairs, images)) < share


def test_the_bootstrap_draws_pairs_and_images_with_replacement() -> None:
    # Of two pairs and two images all 4 × 4 draws can be listed; with many draws each comes as often.
    baseline, treatment = np.zeros((2, 2), dtype=bool), np.array([[True, False], [False, False]])
    gains = [
        100 * float(treatment[np.ix_(pairs, images)].mean())
        for pairs in itertools.product(range(2), repeat=2)
        for images in itertools.product(range(2), repeat=2)
    ]
    for level in (0.2, 0.5, 0.8):
        (found,) = stats.bootstrap_gains([(baseline, treatment)], [1], 2, level=level, draws=40_000)
        expected = np.quantile(np.repeat(gains, 1000), ((1 - level) / 2, (1 + level) / 2))
        assert (found.low, found.high) == pytest.approx(expected)


def test_the_spread_of_the_bootstrap_is_that_of_crossed_draws() -> None:
    # Its variance by Owen's formula: the pairs' and the images' plug-in variances, and the rest.
    baseline, treatment = answers(6, 400, 0.6, 1), answers(6, 400, 0.7, 2)
    difference = 100 * (treatment.astype(float) - baseline)
    n, m = difference.shape
    by_pair, by_image = difference.mean(axis=1), difference.mean(axis=0)
    rest = difference - by_pair[:, None] - by_image + difference.mean()
    variance = by_pair.var() / n + by_image.var() / m + (rest**2).mean() / (n * m)
    (found,) = stats.bootstrap_gains([(baseline, treatment)], [3], 4, draws=20_000)
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * np.sqrt(variance), rel=0.03)
    assert (found.high + found.low) / 2 == pytest.approx(difference.mean(), abs=0.1)


def test_without_a_spread_of_pairs_the_images_remain() -> None:
    one = answers(1, 500, 0.6, 1).repeat(4, axis=0), answers(1, 500, 0.8, 2).repeat(4, axis=0)
    (found,) = stats.bootstrap_gains([one], [0], 0)
    difference = 100 * (one[1][0].astype(float) - one[0][0])
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * difference.std() / np.sqrt(500), rel=0.08)


def test_a_contrast_has_the_same_interval_alone_and_among_others() -> None:
    sides = [(answers(n, 5000, 0.6, n), answers(n, 5000, 0.65, 10 + n)) for n in (2, 5, 9)]
    together = stats.bootstrap_gains(sides, [7, 8, 9], 1)
    assert together == [stats.bootstrap_gains([one], [seed], 1)[0] for one, seed in zip(sides, [7, 8, 9], strict=True)]
    assert together != stats.bootstrap_gains(sides, [1, 2, 3], 1)
    assert together != stats.bootstrap_gains(sides, [7, 8, 9], 2)
    assert stats.bootstrap_gains([], [], 0) == []


def test_the_sides_need_the_same_images_and_pairs() -> None:
    whole = answers(3, 10, 0.5)
    for other in (answers(3, 9, 0.5), answers(2, 10, 0.5)):
        with pytest.raises(ValueError, match="same images"):
            stats.bootstrap_gains([(whole, other)], [0], 0)
    with pytest.raises(ValueError, match="same images"):
        stats.bootstrap_gains([(answers(0, 10, 0.5), answers(0, 10, 0.5))], [0], 0)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=1, max_size=5))
def test_mcnemar_is_the_exact_binomial_test(counts: list[tuple[int, int]]) -> None:
    found = stats.mcnemar(*zip(*counts, strict=True))
    for p, (gained, lost) in zip(found, counts, strict=True):
        expected = binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
        assert p == pytest.approx(expected)
        assert p == pytest.approx(mcnemar([[5, gained], [lost, 5]], exact=True).pvalue)

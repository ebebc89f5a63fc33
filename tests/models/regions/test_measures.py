from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import mutual_info_score, rand_score

from suite.models.regions.measures import (
    agreement,
    contingency,
    covering,
    rand_index,
    variation_of_information,
)

LABELS = st.lists(st.integers(0, 4), min_size=12, max_size=12).map(lambda values: np.array(values).reshape(3, 4))


def probabilistic_rand(labels: np.ndarray, annotations: list[np.ndarray]) -> float:
    """By its definition: a sum over all pairs of pixels, with the share of annotators who join them."""
    flat, truths = labels.ravel(), [truth.ravel() for truth in annotations]
    total, pairs = 0.0, list(itertools.combinations(range(flat.size), 2))
    for i, j in pairs:
        share = sum(truth[i] == truth[j] for truth in truths) / len(truths)
        total += share if flat[i] == flat[j] else 1 - share
    return total / len(pairs)


def test_by_hand() -> None:
    """Halves of a 2 × 4 image against its left quarter, half and right quarter."""
    halves = np.array([[0, 0, 1, 1]] * 2)
    three = np.array([[5, 7, 7, 9]] * 2)
    table = contingency(halves, three)
    assert table.tolist() == [[2, 2, 0], [0, 2, 2]]
    # Each half (4 pixels) is covered best by a quarter of 2 pixels within it: IoU 2/4.
    assert covering(table) == pytest.approx(0.5)
    # The left quarter and the right one: IoU 1/2. The half in the middle (4 pixels) has 2 of 6 with either half.
    assert covering(table.T) == pytest.approx((2 * 0.5 + 4 * (2 / 6) + 2 * 0.5) / 8)
    # 28 pairs: 12 within the halves, 1 + 6 + 1 within the three regions, 4 within both.
    assert rand_index(table) == pytest.approx((28 + 2 * 4 - 12 - 8) / 28)
    # H = 1 and 1.5 bits, mutual information 1/2: the quarters tell the half, the middle doesn't.
    assert variation_of_information(table) == pytest.approx(1 + 1.5 - 2 * 0.5)


@given(LABELS)
def test_a_segmentation_agrees_with_itself_whatever_its_numbers(labels: np.ndarray) -> None:
    found = agreement(labels, [10 * labels + 3, 99 - labels])
    assert found.covering == pytest.approx(1)
    assert found.rand == 1
    assert found.variation == pytest.approx(0, abs=1e-12)


@given(LABELS, LABELS)
def test_identities_and_ranges(first: np.ndarray, second: np.ndarray) -> None:
    table = contingency(first, second)
    assert 0 < covering(table) <= 1
    assert 0 <= rand_index(table) <= 1
    assert rand_index(table) == rand_index(table.T) == pytest.approx(rand_score(first.ravel(), second.ravel()))
    variation = variation_of_information(table)
    assert variation == pytest.approx(variation_of_information(table.T), abs=1e-12)
    information = mutual_info_score(first.ravel(), second.ravel()) / math.log(2)

    def entropy(labels: np.ndarray) -> float:
        shares = np.unique(labels, return_counts=True)[1] / labels.size
        return float(-(shares * np.log2(shares)).sum())

    assert variation == pytest.approx(entropy(first) + entropy(second) - 2 * information, abs=1e-9)


@given(LABELS, LABELS, LABELS)
def test_variation_of_information_is_a_distance(first: np.ndarray, second: np.ndarray, third: np.ndarray) -> None:
    a, b, c = (
        variation_of_information(contingency(*pair)) for pair in ((first, second), (second, third), (first, third))
    )
    assert c <= a + b + 1e-9


@given(LABELS, st.lists(LABELS, min_size=1, max_size=4))
def test_the_rand_index_is_that_of_its_definition(labels: np.ndarray, annotations: list[np.ndarray]) -> None:
    assert agreement(labels, annotations).rand == pytest.approx(probabilistic_rand(labels, annotations))


@given(LABELS, LABELS)
def test_the_covering_is_that_of_its_definition(labels: np.ndarray, truth: np.ndarray) -> None:
    total = 0.0
    for region in np.unique(truth):
        inside = truth == region
        overlaps = [
            (inside & (labels == other)).sum() / (inside | (labels == other)).sum() for other in np.unique(labels)
        ]
        total += inside.sum() * max(overlaps)
    assert agreement(labels, [truth]).covering == pytest.approx(total / truth.size)


@given(LABELS, LABELS)
def test_labels_far_apart_are_as_good(first: np.ndarray, second: np.ndarray) -> None:
    far = np.array([-(2**40), 7, 2**20, 2**30, 2**50])[first]
    assert contingency(far, second).tolist() == contingency(first, second).tolist()
    assert contingency(second, far).tolist() == contingency(second, first).tolist()


def test_annotators_count_alike() -> None:
    labels, one, two = np.array([0, 0, 1]), np.array([0, 0, 1]), np.array([0, 1, 1])
    alone = [agreement(labels, [truth]) for truth in (one, two)]
    for found, *parts in zip(agreement(labels, [one, two]), *alone, strict=True):
        assert found == pytest.approx(sum(parts) / 2)


def test_pixel_counts_of_photographs_do_not_overflow() -> None:
    labels = np.zeros((1200, 1500), dtype=np.uint16)
    labels[:, 700:] = 65_535
    assert agreement(labels, [labels]).rand == 1


def test_a_single_pixel_and_bad_input() -> None:
    one = np.zeros((1, 1), dtype=int)
    assert agreement(one, [one]) == (1, 1, 0)
    with pytest.raises(ValueError, match="same pixels"):
        agreement(one, [np.zeros((1, 2), dtype=int)])
    with pytest.raises(ValueError, match="at least one annotator"):
        agreement(one, [])

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.models.regions.matching import confusion, matched

COUNTS = st.lists(st.integers(0, 30), min_size=16, max_size=16).map(lambda values: np.array(values).reshape(4, 4))


def iou_sum(counts: np.ndarray, order: tuple[int, ...]) -> float:
    """Of cluster i as class order[i]."""
    total = 0.0
    for cluster, name in enumerate(order):
        union = counts[cluster].sum() + counts[:, name].sum() - counts[cluster, name]
        total += counts[cluster, name] / union if union else 0
    return total


def test_ignored_pixels_do_not_count() -> None:
    clusters, truth = np.array([[0, 1], [1, 0]]), np.array([[1, 0], [255, 255]], dtype=np.uint8)
    assert confusion(clusters, truth, (2, 2)).tolist() == [[0, 1], [1, 0]]


@given(COUNTS)
def test_the_matching_is_the_best_of_all_permutations(counts: np.ndarray) -> None:
    if not counts.sum():
        return
    found = matched(counts)
    assert sorted(found.classes) == [0, 1, 2, 3]
    best = max(iou_sum(counts, order) for order in itertools.permutations(range(4)))
    assert iou_sum(counts, tuple(found.classes)) == pytest.approx(best)
    assert np.nansum(found.iou) == pytest.approx(best)
    assert found.miou == pytest.approx(best / (counts.sum(axis=0) > 0).sum())


def test_names_of_clusters_do_not_matter() -> None:
    counts = np.random.default_rng(0).integers(0, 50, (5, 5))
    assert matched(counts[[3, 0, 4, 1, 2]]).miou == pytest.approx(matched(counts).miou)


def test_more_clusters_than_classes_vote() -> None:
    found = matched(np.array([[8, 1], [3, 0], [2, 6]]))
    assert found.classes.tolist() == [0, 0, 1]
    # Class 0: 11 of 13 + 12 − 11 pixels; class 1: 6 of 7 + 8 − 6.
    assert found.iou == pytest.approx([11 / 14, 6 / 9])
    assert found.miou == pytest.approx((11 / 14 + 6 / 9) / 2)


def test_fewer_clusters_than_classes_leave_classes_at_zero_and_absent_ones_out() -> None:
    found = matched(np.array([[8, 1, 0, 0], [0, 6, 2, 0]]))
    assert found.iou[:3] == pytest.approx([8 / 9, 6 / 9, 0])
    assert np.isnan(found.iou[3])
    assert found.miou == pytest.approx((8 / 9 + 6 / 9) / 3)


def test_perfect_clusters_have_miou_one() -> None:
    truth = np.random.default_rng(0).integers(0, 3, (10, 10))
    assert matched(confusion((truth + 1) % 3, truth, (3, 3))).miou == 1


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="of other pixels"):
        confusion(np.zeros((2, 2), int), np.zeros((2, 3), int), (1, 1))
    with pytest.raises(ValueError, match="clusters up to 2"):
        confusion(np.array([2]), np.array([0]), (2, 2))
    with pytest.raises(ValueError, match="at least one counted pixel"):
        matched(np.zeros((2, 2), int))

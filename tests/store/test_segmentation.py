"""Pixel counts in a record: what follows from them, and their packing."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from suite.store.segmentation import class_ious, mean_iou, pack_pixel_counts, pixel_accuracy, unpack_pixel_counts

# Two images of 3 classes: correct, labelled, predicted. No image has class 2, and none is predicted as it.
COUNTS = np.array([[[5, 0, 0], [6, 4, 0], [9, 1, 0]], [[1, 7, 0], [2, 8, 0], [1, 9, 0]]])


def test_intersections_over_unions_are_of_all_images_together():
    ious = class_ious(COUNTS)
    assert ious == (100 * 6 / (8 + 10 - 6), 100 * 7 / (12 + 10 - 7), None)
    assert mean_iou(ious) == pytest.approx((50 + 100 * 7 / 15) / 2)
    assert pixel_accuracy(COUNTS) == 100 * 13 / 20
    with pytest.raises(ValueError, match="to average"):
        mean_iou([None, None])


def test_a_class_that_is_only_predicted_counts_as_zero():
    counts = np.array([[[4, 0], [5, 0], [4, 1]]])
    assert class_ious(counts) == (80.0, 0.0)


@pytest.mark.parametrize("most", [200, 2**16 - 1, 2**20])
def test_packing(most: int):
    random = np.random.default_rng(0)
    counts = random.integers(0, most + 1, (7, 3, 11)) * (random.random((7, 3, 11)) < 0.3)
    counts[0, 0, 0] = most
    packed = pack_pixel_counts(counts)
    assert np.array_equal(unpack_pixel_counts(packed, 7, 11), counts)
    nothing = np.zeros((2, 3, 4), dtype=np.int64)
    assert np.array_equal(unpack_pixel_counts(pack_pixel_counts(nothing), 2, 4), nothing)


@pytest.mark.parametrize("spoil", [lambda text: text[:-4], lambda text: text + "AAAA", lambda text: "!" + text[1:],
                                   lambda text: "", lambda text: "CA==" + text[4:]])  # fmt: skip
def test_damaged_text_is_refused(spoil):
    packed = pack_pixel_counts(COUNTS)
    with pytest.raises(ValueError, match=r".+"):
        unpack_pixel_counts(spoil(packed), 2, 3)


def test_a_small_record_can_not_claim_many_images():
    packed = base64.b64encode(bytes([2, 0])).decode()
    with pytest.raises(ValueError, match="another number of images"):
        unpack_pixel_counts(packed, 10**12, 254)

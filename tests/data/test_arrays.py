"""Canonical order, checksum, and the measured mean and deviation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from suite.data.arrays import Split, arrays_checksum, canonical_order, measure


@st.composite
def splits(draw: st.DrawFn) -> Split:
    """Up to 12 images of few values, so that equal images and equal images with other labels occur."""
    count = draw(st.integers(1, 12))
    shape = draw(st.sampled_from([(count, 2, 2, 1), (count, 1, 2, 3)]))
    images = draw(arrays.arrays(np.uint8, shape, elements=st.integers(0, 2)))
    labels = draw(arrays.arrays(np.int64, count, elements=st.integers(0, 2)))
    return Split(images, labels)


def checksum(train: Split, test: Split) -> str:
    return arrays_checksum({"train": train, "test": test})


@settings(deadline=None)
@given(splits(), st.randoms(use_true_random=False))
def test_any_order_of_the_source_gives_the_same_arrays(split, random):
    permutation = list(range(len(split)))
    random.shuffle(permutation)
    shuffled = split.take(np.array(permutation))
    first, second = (part.take(canonical_order(part)) for part in (split, shuffled))
    np.testing.assert_array_equal(first.images, second.images)
    np.testing.assert_array_equal(first.labels, second.labels)
    assert checksum(first, first) == checksum(second, second)


@settings(deadline=None)
@given(splits(), st.data())
def test_the_checksum_tells_any_change_of_a_pixel_or_label(split, data):
    target = data.draw(st.sampled_from(["images", "labels"]))
    images, labels = split.images.copy(), split.labels.copy()
    array = images if target == "images" else labels
    array.flat[data.draw(st.integers(0, array.size - 1))] ^= data.draw(st.integers(1, 255))
    changed = Split(images, labels)
    assert checksum(split, split) != checksum(changed, split)
    assert checksum(split, split) != checksum(split, changed)
    assert checksum(split, changed) != checksum(changed, split)


def test_the_checksum_tells_shapes_that_have_the_same_bytes():
    pixels, labels = np.arange(48, dtype=np.uint8), np.zeros(2, dtype=np.int64)
    shapes = [(2, 4, 2, 3), (2, 2, 4, 3), (2, 8, 3, 1)]
    assert len({checksum(Split(pixels.reshape(s), labels), Split(pixels.reshape(s), labels)) for s in shapes}) == 3


@settings(deadline=None)
@given(splits())
def test_measured_values_are_those_of_numpy(split):
    mean, std = measure(split.images)
    scaled = split.images / 255
    np.testing.assert_allclose(mean, scaled.mean((0, 1, 2)), atol=5.1e-5)
    for ours, numpy in zip(std, scaled.std((0, 1, 2)), strict=True):
        assert ours == pytest.approx(numpy, abs=5.1e-5) or (ours == 1 and numpy < 5e-5)


def test_a_channel_without_contrast_can_still_divide():
    assert measure(np.full((3, 2, 2, 1), 255, np.uint8)) == ((1.0,), (1.0,))

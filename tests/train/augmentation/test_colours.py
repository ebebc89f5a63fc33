"""Colour operations against Pillow's own, to the last bit."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from PIL import ImageEnhance

from suite.train.augmentation import colours
from tests.pictures import BATCHES, FACTORS, assert_alike, photographs, to_pillow, turns


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize(
    ("ours", "theirs"), [(colours.colour, ImageEnhance.Color), (colours.sharpness, ImageEnhance.Sharpness)]
)
def test_with_a_factor_for_each_image(
    batch: str,
    ours: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    theirs: type[ImageEnhance.Color] | type[ImageEnhance.Sharpness],
) -> None:
    images = BATCHES[batch]()
    for own in turns(FACTORS, len(images)):
        expected = [theirs(image).enhance(factor) for image, factor in zip(to_pillow(images), own, strict=True)]
        assert_alike(ours(images, torch.tensor(own, dtype=torch.float64)), expected, mean=0)


def test_images_too_small_to_be_smoothed_stay_as_they_are() -> None:
    images = photographs()[:, :, :2, :7]
    factor = torch.full((len(images),), 1.9, dtype=torch.float64)
    assert_alike(
        colours.sharpness(images, factor), [ImageEnhance.Sharpness(i).enhance(1.9) for i in to_pillow(images)], mean=0
    )


def test_the_input_is_left_alone() -> None:
    images = photographs()
    before = images.clone()
    colours.sharpness(images, torch.full((len(images),), 1.5, dtype=torch.float64))
    assert torch.equal(images, before)

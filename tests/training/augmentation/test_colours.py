"""Colour operations against Pillow's own, to the last bit."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps
from timm.data import auto_augment as timm

from suite.training.augmentation import colours
from tests.pictures import assert_alike, from_pillow, photographs, to_pillow

Picture = Image.Image


def grey_photographs() -> torch.Tensor:
    return photographs()[:, :1].contiguous()


BATCHES = {"colour": photographs, "grey": grey_photographs}


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (colours.invert, ImageOps.invert),
        (colours.auto_contrast, ImageOps.autocontrast),
        (colours.equalize, ImageOps.equalize),
    ],
)
def test_without_an_argument(
    batch: str, ours: Callable[[torch.Tensor], torch.Tensor], theirs: Callable[[Picture], Picture]
) -> None:
    images = BATCHES[batch]()
    assert_alike(ours(images), [theirs(image) for image in to_pillow(images)], mean=0)


def posterize(image: Picture, bits: float) -> Picture:
    """timm's, but black where Pillow 13 refuses to keep no bit at all."""
    return image.point([0] * 256 * len(image.getbands())) if bits == 0 else timm.posterize(image, int(bits))


def solarize_add(image: Picture, amount: float) -> Picture:
    return timm.solarize_add(image, int(amount))


FACTORS = [0.1, 0.37, 0.5, 0.999, 1.0, 1.19, 1.81, 1.9]


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize(
    ("ours", "theirs", "arguments"),
    [
        (colours.posterize, posterize, [0, 1, 2, 3, 4, 7, 8]),
        (colours.solarize, ImageOps.solarize, [0, 1, 26, 128, 198.3, 255, 256]),
        (colours.solarize_add, solarize_add, [0, 1, 99, 110, 128]),
        (colours.brightness, lambda image, factor: ImageEnhance.Brightness(image).enhance(factor), FACTORS),
        (colours.contrast, lambda image, factor: ImageEnhance.Contrast(image).enhance(factor), FACTORS),
        (colours.colour, lambda image, factor: ImageEnhance.Color(image).enhance(factor), FACTORS),
        (colours.sharpness, lambda image, factor: ImageEnhance.Sharpness(image).enhance(factor), FACTORS),
    ],
)
def test_with_an_argument_for_each_image(
    batch: str,
    ours: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    theirs: Callable[[Picture, float], Picture],
    arguments: list[float],
) -> None:
    images = BATCHES[batch]()
    for shift in range(len(arguments)):  # so that each image meets each argument, beside images with others
        own = [arguments[(index + shift) % len(arguments)] for index in range(len(images))]
        expected = [theirs(image, argument) for image, argument in zip(to_pillow(images), own, strict=True)]
        assert_alike(ours(images, torch.tensor(own, dtype=torch.float64)), expected, mean=0)


def test_no_bit_at_all_is_black() -> None:
    images = photographs()
    assert not colours.posterize(images, torch.zeros(len(images), dtype=torch.float64)).any()


def test_images_too_small_to_be_smoothed_stay_as_they_are() -> None:
    images = photographs()[:, :, :2, :7]
    factor = torch.full((len(images),), 1.9, dtype=torch.float64)
    assert_alike(
        colours.sharpness(images, factor), [ImageEnhance.Sharpness(i).enhance(1.9) for i in to_pillow(images)], mean=0
    )


def test_the_input_is_left_alone() -> None:
    images = photographs()
    before = images.clone()
    factor = torch.full((len(images),), 1.5, dtype=torch.float64)
    colours.sharpness(images, factor)
    colours.equalize(images)
    assert torch.equal(images, before)
    assert torch.equal(from_pillow(to_pillow(images)), before)

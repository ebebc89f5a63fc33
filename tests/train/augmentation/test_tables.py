"""What becomes of the grey levels against Pillow's own, to the last bit."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps
from timm.data import auto_augment as timm

from suite.train.augmentation import tables
from tests.pictures import BATCHES, FACTORS, assert_alike, photographs, to_pillow, turns

Picture = Image.Image


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (tables.invert, ImageOps.invert),
        (tables.auto_contrast, ImageOps.autocontrast),
        (tables.equalize, ImageOps.equalize),
    ],
)
def test_without_an_argument(
    batch: str, ours: Callable[[torch.Tensor], torch.Tensor], theirs: Callable[[Picture], Picture]
) -> None:
    images = BATCHES[batch]()
    found = tables.look_up(images, ours(images))
    assert_alike(found, [theirs(image) for image in to_pillow(images)], mean=0)


def posterize(image: Picture, bits: float) -> Picture:
    """timm's, but black where Pillow 13 refuses to keep no bit at all."""
    return image.point([0] * 256 * len(image.getbands())) if bits == 0 else timm.posterize(image, int(bits))


def solarize_add(image: Picture, amount: float) -> Picture:
    return timm.solarize_add(image, int(amount))


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize(
    ("ours", "theirs", "arguments"),
    [
        (tables.posterize, posterize, [0, 1, 2, 3, 4, 7, 8]),
        (tables.solarize, ImageOps.solarize, [0, 1, 26, 128, 198.3, 255, 256]),
        (tables.solarize_add, solarize_add, [0, 1, 99, 110, 128]),
        (tables.brightness, lambda image, factor: ImageEnhance.Brightness(image).enhance(factor), FACTORS),
        (tables.contrast, lambda image, factor: ImageEnhance.Contrast(image).enhance(factor), FACTORS),
    ],
)
def test_with_an_argument_for_each_image(
    batch: str,
    ours: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    theirs: Callable[[Picture, float], Picture],
    arguments: list[float],
) -> None:
    images = BATCHES[batch]()
    for own in turns(arguments, len(images)):
        expected = [theirs(image, argument) for image, argument in zip(to_pillow(images), own, strict=True)]
        found = tables.look_up(images, ours(images, torch.tensor(own, dtype=torch.float64)))
        assert_alike(found, expected, mean=0)


def test_no_bit_at_all_is_black() -> None:
    images = photographs()
    assert not tables.posterize(images, torch.zeros(len(images), dtype=torch.float64)).any()

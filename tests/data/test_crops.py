"""Resized windows against Pillow's resize, and where random ones lie against torchvision's."""

from __future__ import annotations

import math

import pytest
import torch
from PIL import Image
from torchvision.transforms import RandomResizedCrop

from suite.data.crops import Crops, crop_and_resize, draw_crops, resize_and_crop_centre
from tests.pictures import assert_alike, photographs, to_pillow

RATIO = (3 / 4, 4 / 3)


def crops(count: int, scale: tuple[float, float], ratio: tuple[float, float] = RATIO) -> Crops:
    generator = torch.Generator().manual_seed(0)
    return draw_crops(count, scale, ratio, torch.arange(count) % 2 == 0, generator)


def windows(drawn: Crops, height: int, width: int) -> torch.Tensor:
    count = len(drawn.bicubic)
    return drawn.windows(torch.full((count,), height), torch.full((count,), width))


@pytest.mark.parametrize("size", [(32, 32), (8, 13), (50, 40)])
def test_pixels_are_pillows(size: tuple[int, int]) -> None:
    images = photographs(80, 32, 32)
    drawn = crops(80, (0.08, 1.0))
    places = windows(drawn, 32, 32)
    expected = [
        image.crop((left, top, left + width, top + height)).resize(
            size[::-1], Image.Resampling.BICUBIC if bicubic else Image.Resampling.BILINEAR
        )
        for image, (top, left, height, width), bicubic in zip(
            to_pillow(images), places.tolist(), drawn.bicubic.tolist(), strict=True
        )
    ]
    assert_alike(crop_and_resize(images, places, drawn.bicubic, *size), expected, mean=0.02, far=0)


def test_the_whole_image_at_its_own_size_stays_as_it_is() -> None:
    images = photographs()
    whole = torch.tensor([[0, 0, 32, 32]]).expand(80, 4)
    for bicubic in (False, True):
        assert torch.equal(crop_and_resize(images, whole, torch.full((80,), bicubic), 32, 32), images)


@pytest.mark.parametrize("scale", [(0.08, 1.0), (0.8, 1.0)])
def test_windows_lie_where_torchvisions_lie(scale: tuple[float, float]) -> None:
    """Means of position and size, and how often the whole image is taken because nothing else fits."""
    count, image = 4000, Image.new("RGB", (32, 32))
    torch.manual_seed(0)
    theirs = torch.tensor([RandomResizedCrop.get_params(image, list(scale), list(RATIO)) for _ in range(count)])
    ours = windows(crops(count, scale), 32, 32)
    assert (ours[:, :2] >= 0).all()
    assert (ours[:, :2] + ours[:, 2:] <= 32).all()
    for found, expected in zip(ours.double().unbind(1), theirs.double().unbind(1), strict=True):
        error = math.sqrt((found.var() + expected.var()) / count)
        assert abs(found.mean() - expected.mean()) < 4 * error
        assert float(found.std()) == pytest.approx(float(expected.std()), rel=0.08)


@pytest.mark.parametrize(("height", "width"), [(10, 40), (40, 10), (12, 12)])
def test_where_no_window_fits_the_largest_at_the_centre_is_taken(height: int, width: int) -> None:
    """As torchvision's, which draws ten times in vain here."""
    impossible = (2.0, 2.0)
    expected = RandomResizedCrop.get_params(Image.new("RGB", (width, height)), list(impossible), list(RATIO))
    found = windows(crops(1, impossible), height, width)[0].tolist()
    assert tuple(found) == expected


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 300), (300, 1), (3, 2), (32, 32)])
@pytest.mark.parametrize("ratio", [RATIO, (3.0, 4.0), (0.001, 0.001), (1000.0, 1000.0), (0.001, 1000.0)])
@pytest.mark.parametrize("scale", [(1e-9, 1e-9), (0.08, 1.0), (1.0, 1.0)])
def test_a_window_has_a_pixel_and_lies_in_the_image(
    height: int, width: int, ratio: tuple[float, float], scale: tuple[float, float]
) -> None:
    drawn = crops(30, scale, ratio)
    found = windows(drawn, height, width)
    assert (found[:, 2:] >= 1).all()
    assert (found[:, :2] >= 0).all()
    assert (found[:, :2] + found[:, 2:] <= torch.tensor([height, width])).all()
    assert [list(drawn.window(i, height, width)) for i in range(30)] == found.tolist()


def test_one_image_s_window_is_that_of_the_batch() -> None:
    drawn = crops(20, (0.2, 0.7))
    together = windows(drawn, 30, 50).tolist()
    assert [list(drawn.window(i, 30, 50)) for i in range(20)] == together
    assert len({tuple(window) for window in together}) > 15


@pytest.mark.parametrize("resized", [32, 36, 41])
def test_the_centre_is_pillows(resized: int) -> None:
    images = photographs()
    start = (resized - 32) // 2
    box = (start, start, start + 32, start + 32)
    expected = [image.resize((resized, resized), Image.Resampling.BICUBIC).crop(box) for image in to_pillow(images)]
    assert_alike(resize_and_crop_centre(images, resized), expected, mean=0.02, far=0)

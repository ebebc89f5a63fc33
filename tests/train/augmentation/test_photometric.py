"""Photometric distortion, pixel by pixel against Python's colorsys."""

from __future__ import annotations

import colorsys

import pytest
import torch

from suite.train.augmentation.photometric import Distortion, distort, draw_distortion

PIXELS = [(0, 0, 0), (255, 255, 255), (200, 10, 30), (12, 250, 97), (3, 40, 222), (128, 128, 128), (90, 90, 10)]


def images() -> torch.Tensor:
    """uint8 [1, 3, 1, pixels]."""
    return torch.tensor(PIXELS, dtype=torch.uint8).t()[None, :, None].contiguous()


def distorted(values: tuple[float, float, float, float], last: bool = False) -> list[list[int]]:
    found = distort(images(), Distortion(torch.tensor([values]), torch.tensor([last])))
    rows: list[list[int]] = found[0, :, 0].t().tolist()
    return rows


def clipped(value: float) -> int:
    return int(min(max(value, 0), 255))


def test_without_draws_nothing_changes() -> None:
    assert distorted((0, 1, 1, 0)) == [list(pixel) for pixel in PIXELS]


@pytest.mark.parametrize("added", [-20.5, 31.0])
def test_brightness(added: float) -> None:
    assert distorted((added, 1, 1, 0)) == [[clipped(value + added) for value in pixel] for pixel in PIXELS]


@pytest.mark.parametrize("last", [False, True])
def test_contrast(last: bool) -> None:
    assert distorted((0, 1.25, 1, 0), last) == [[clipped(value * 1.25) for value in pixel] for pixel in PIXELS]


def test_contrast_comes_before_or_after_saturation() -> None:
    assert distorted((0, 1.5, 0.5, 0), False) != distorted((0, 1.5, 0.5, 0), True)


@pytest.mark.parametrize(("factor", "degrees"), [(0.5, 0.0), (1.5, 0.0), (1.0, 36.0), (1.0, -35.0)])
def test_saturation_and_hue(factor: float, degrees: float) -> None:
    for found, pixel in zip(distorted((0, 1, factor, degrees)), PIXELS, strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*(channel / 255 for channel in pixel))
        hue, saturation = (hue + degrees / 360) % 1, min(saturation * factor, 1.0)
        expected = [255 * channel for channel in colorsys.hsv_to_rgb(hue, saturation, value)]
        assert all(abs(one - other) <= 1 for one, other in zip(found, expected, strict=True))


def test_each_part_has_probability_one_half() -> None:
    drawn = draw_distortion(4000, torch.Generator().manual_seed(0))
    changed = drawn.values != torch.tensor([0.0, 1.0, 1.0, 0.0])
    assert ((changed.float().mean(0) - 0.5).abs() < 0.05).all()
    assert abs(drawn.last.float().mean() - 0.5) < 0.05
    low, high = drawn.values.amin(0), drawn.values.amax(0)
    assert (low >= torch.tensor([-32, 0.5, 0.5, -36])).all()
    assert (high <= torch.tensor([32, 1.5, 1.5, 36])).all()
    joined = Distortion.joined([drawn.take(torch.arange(10)), drawn.take(torch.arange(10, 4000))])
    assert torch.equal(joined.values, drawn.values)
    assert torch.equal(joined.last, drawn.last)


def test_grey_images_have_no_hue() -> None:
    grey = torch.full((2, 1, 2, 2), 100, dtype=torch.uint8)
    values = torch.tensor([[10.0, 1.0, 1.5, 20.0], [0.0, 1.5, 1.0, 0.0]])
    found = distort(grey, Distortion(values, torch.tensor([False, True])))
    assert found[:, 0, 0, 0].tolist() == [110, 150]

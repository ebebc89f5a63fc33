"""Affine transforms against Pillow's own."""

from __future__ import annotations

import pytest
import torch
from PIL import Image

from suite.train.augmentation.geometry import BICUBIC, BILINEAR, NEAREST, affine, rotation, shift, slide
from tests.pictures import assert_alike, photographs, to_pillow

KINDS = {
    NEAREST: Image.Resampling.NEAREST,
    BILINEAR: Image.Resampling.BILINEAR,
    BICUBIC: Image.Resampling.BICUBIC,
}
FILL = (125, 123, 114)
SIZES = [(32, 32), (24, 37)]


def spread(low: float, high: float, count: int) -> torch.Tensor:
    return torch.linspace(low, high, count, dtype=torch.float64)


def transformed(images: torch.Tensor, matrices: torch.Tensor, kind: int) -> list[Image.Image]:
    return [
        image.transform(image.size, Image.Transform.AFFINE, matrix, resample=KINDS[kind], fillcolor=FILL)
        for image, matrix in zip(to_pillow(images), matrices.tolist(), strict=True)
    ]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", SIZES)
def test_rotation(size: tuple[int, int], kind: int) -> None:
    images = photographs(80, *size)
    degrees = spread(-30, 30, 80)
    found = affine(images, rotation(degrees, *size), kind, torch.tensor(FILL, dtype=torch.uint8))
    expected = [
        image.rotate(angle, resample=KINDS[kind], fillcolor=FILL)
        for image, angle in zip(to_pillow(images), degrees.tolist(), strict=True)
    ]
    assert_alike(found, expected, mean=0.05, far=0.002)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", SIZES)
def test_any_matrix(size: tuple[int, int], kind: int) -> None:
    images = photographs(80, *size)
    generator = torch.Generator().manual_seed(0)
    matrices = torch.randn(80, 6, generator=generator, dtype=torch.float64)
    matrices[:, (2, 5)] *= 10
    matrices[:, (0, 4)] += 1
    found = affine(images, matrices, kind, torch.tensor(FILL, dtype=torch.uint8))
    assert_alike(found, transformed(images, matrices, kind), mean=0.1, far=0.005)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("b", "c"), [(0.3, 0.0), (0.0, 14.4), (-0.1, 5.0), (0.0, -60.0)])
def test_slide(size: tuple[int, int], b: float, c: float, kind: int) -> None:
    images = photographs(80, *size)
    offset = torch.stack([spread(-1, 1, 80) * b, spread(-1, 1, 80) * c], dim=1)
    found = slide(images, offset, kind, torch.tensor(FILL, dtype=torch.uint8))
    one, zero = torch.ones(80, dtype=torch.float64), torch.zeros(80, dtype=torch.float64)
    matrices = torch.stack([one, *offset.unbind(1), zero, one, zero], dim=1)
    assert_alike(found, transformed(images, matrices, kind), mean=0.02, far=0.002)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", SIZES)
def test_a_shift_gives_the_values_of_slide(size: tuple[int, int], kind: int) -> None:
    fill = torch.tensor(FILL, dtype=torch.uint8)
    for image, distance in zip(photographs(80, *size).split(1), spread(-60, 60, 80).split(1), strict=True):
        offset = torch.stack([torch.zeros(1, dtype=torch.float64), distance], dim=1)
        expected = slide(image.transpose(2, 3).contiguous(), offset, kind, fill).transpose(2, 3)
        assert torch.equal(shift(image, distance, kind, fill), expected)


def test_even_ground_stays_even() -> None:
    """Values are truncated: a sum of weights just below one would darken everything by a level."""
    images = torch.arange(256, dtype=torch.uint8).view(256, 1, 1, 1).expand(256, 3, 9, 9)
    degrees = spread(-30, 30, 256)
    for kind in KINDS:
        found = affine(images, rotation(degrees, 9, 9), kind, torch.zeros(3, dtype=torch.uint8))
        assert ((found == images) | (found == 0)).all()

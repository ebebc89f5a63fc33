"""Crops of scaled images and masks: against Pillow, and where an image is smaller than its crop."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from suite.data.scene_images import SceneImages, image_sizes
from suite.data.scenes import TRIES, ScaledCrops, draw_scaled_crops
from suite.data.segmentation.settings import PADDING

HEIGHT, WIDTH, SIDE = 24, 32, 16


def stored(sizes: list[tuple[int, int]]) -> torch.Tensor:
    """Images with masks of classes 1 to 4 in the upper left corner of a rectangle: uint8 [N, HEIGHT, WIDTH, 4]."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.zeros(len(sizes), HEIGHT, WIDTH, 4, dtype=torch.uint8)
    pixels[..., -1] = PADDING
    for one, (rows, columns) in zip(pixels, sizes, strict=True):
        one[:rows, :columns, :3] = torch.randint(256, (rows, columns, 3), generator=generator)
        one[:rows, :columns, 3] = torch.randint(0, 5, (rows, columns), generator=generator)
    return pixels


def crops(factors: list[float], places: Any = None, most: float = 1.0) -> ScaledCrops:
    place = torch.rand(len(factors), TRIES, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return ScaledCrops(most, torch.tensor(factors, dtype=torch.float64), place if places is None else places)


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.0, 1.37, 2.0])
@pytest.mark.parametrize("size", [(HEIGHT, WIDTH), (24, 18), (11, 32)])
def test_a_crop_is_that_of_the_image_that_pillow_resizes(factor: float, size: tuple[int, int]) -> None:
    """Pixels within 1 of Pillow's; the mask has the nearest pixel, of two equally near the later one; and 0 outside."""
    pixels = stored([size])
    drawn = crops([factor])
    images = SceneImages(pixels, torch.zeros(1, dtype=torch.int64), None, SIDE)
    found = images.start(torch.tensor([0]), drawn).result()[0].permute(1, 2, 0).numpy()
    assert found.shape == (SIDE, SIDE, 4)

    rows, columns = (max(1, round(length * factor)) for length in size)
    own = pixels[0, : size[0], : size[1]].numpy()
    image = np.asarray(Image.fromarray(own[..., :3]).resize((columns, rows), Image.Resampling.BILINEAR))
    down, across = (
        [floor(Fraction(2 * place + 1, 2) * Fraction(before, after)) for place in range(after)]
        for before, after in zip(size, (rows, columns), strict=True)
    )
    mask = own[..., 3][np.ix_(down, across)]
    top, left = (int(drawn.place[0, 0, i] * (max(n - SIDE, 0) + 1)) for i, n in enumerate((rows, columns)))
    expected = np.zeros((SIDE, SIDE, 4), dtype=np.uint8)
    part = np.concatenate([image, mask[..., None]], axis=2)[top : top + SIDE, left : left + SIDE]
    expected[: part.shape[0], : part.shape[1]] = part
    assert np.abs(found[..., :3].astype(int) - expected[..., :3]).max() <= 1
    assert (found[..., 3] == expected[..., 3]).all()


def test_a_class_that_fills_a_crop_is_drawn_again() -> None:
    """The first try sees one class alone, the second has two: the second is taken; and without a limit the first."""
    pixels = torch.ones(1, HEIGHT, WIDTH, 4, dtype=torch.uint8)
    pixels[:, :, WIDTH // 2 :, 3] = 2
    place = torch.zeros(1, TRIES, 2, dtype=torch.float64)
    place[:, 1, 1] = 0.5
    images = SceneImages(pixels, torch.zeros(1, dtype=torch.int64), None, SIDE)
    masks = {
        most: images.start(torch.tensor([0]), crops([1.0], place, most)).result()[0, 3] for most in (0.75, 1.0)
    }  # fmt: skip
    assert (masks[1.0] == 1).all()
    assert sorted(masks[0.75].unique().tolist()) == [1, 2]


def test_the_last_try_is_taken_whatever_is_in_it() -> None:
    pixels = torch.ones(1, HEIGHT, WIDTH, 4, dtype=torch.uint8)
    pixels[0, 0, -1, 0] = 200
    place = torch.zeros(1, TRIES, 2, dtype=torch.float64)
    place[:, -1, 1] = 0.999
    found = SceneImages(pixels, torch.zeros(1, dtype=torch.int64), None, SIDE).scaled(
        torch.tensor([0]), crops([1.0], place, 0.75)
    )
    assert found[0, 0, 0, -1] == 200


def test_draws_are_within_the_scale_and_can_be_taken_and_joined() -> None:
    drawn = draw_scaled_crops(500, (0.5, 2.0), 0.75, torch.Generator().manual_seed(0))
    assert 0.5 <= drawn.factor.min() < 0.6
    assert 1.9 < drawn.factor.max() <= 2.0
    parts = drawn.take(torch.arange(200)), drawn.take(torch.arange(200, 500))
    whole = ScaledCrops.joined(parts)
    assert torch.equal(whole.factor, drawn.factor)
    assert torch.equal(whole.place, drawn.place)
    assert whole.most == 0.75


def test_an_image_doesnt_depend_on_the_others_of_its_batch() -> None:
    sizes = [(HEIGHT, WIDTH), (11, 32), (24, 18)]
    images = SceneImages(stored(sizes), torch.zeros(3, dtype=torch.int64), None, SIDE)
    assert images.sizes.tolist() == [list(size) for size in sizes]
    drawn = crops([0.6, 1.5, 1.9], most=0.3)
    whole = images.scaled(torch.arange(3), drawn)
    for number in range(3):
        one = images.scaled(torch.tensor([number]), drawn.take(torch.tensor([number])))
        assert torch.equal(one[0], whole[number])


def test_sizes_are_those_of_the_masks_padding() -> None:
    assert image_sizes(stored([(1, 1), (HEIGHT, 5)])[..., -1]).tolist() == [[1, 1], [HEIGHT, 5]]

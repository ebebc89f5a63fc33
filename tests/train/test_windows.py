"""Sliding windows against a plain loop over windows and pixels."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from suite.data.scenes import window_starts
from suite.train.windows import slide, slide_each

SIDE = 8


def model(windows: Tensor) -> Tensor:
    """Logits that depend on the whole window and on the place in it: [B, 3, side, side]."""
    place = torch.arange(SIDE * SIDE, dtype=windows.dtype).view(SIDE, SIDE) / 7
    mean = windows.mean((1, 2, 3), keepdim=True)
    return torch.cat([windows[:, :1] * mean, place * mean + windows[:, 1:2], windows[:, :1] - place], dim=1)


def by_hand(image: Tensor, stride: int) -> Tensor:
    """The mean logits of each pixel, window by window and pixel by pixel, as MMSegmentation places windows."""
    channels, height, width = image.shape
    rows, columns = max(height, SIDE), max(width, SIDE)
    filled = torch.zeros(channels, rows, columns)
    filled[:, :height, :width] = image
    sums: dict[tuple[int, int], list[Tensor]] = {}
    for i in range(max(height - SIDE + stride - 1, 0) // stride + 1):
        for j in range(max(width - SIDE + stride - 1, 0) // stride + 1):
            bottom, right = min(i * stride + SIDE, rows), min(j * stride + SIDE, columns)
            top, left = max(bottom - SIDE, 0), max(right - SIDE, 0)
            logits = model(filled[None, :, top:bottom, left:right])[0]
            for y in range(SIDE):
                for x in range(SIDE):
                    sums.setdefault((top + y, left + x), []).append(logits[:, y, x])
    found = torch.zeros(3, height, width)
    for y in range(height):
        for x in range(width):
            found[:, y, x] = torch.stack(sums[y, x]).mean(0)
    return found


@pytest.mark.parametrize("size", [(8, 8), (9, 15), (16, 24), (21, 8), (5, 13), (3, 4)])
@pytest.mark.parametrize("stride", [8, 5, 3, 1])
def test_the_mean_of_the_windows_of_each_pixel(size: tuple[int, int], stride: int) -> None:
    images = torch.randn(2, 2, *size, generator=torch.Generator().manual_seed(sum(size)))
    found = slide(model, images, SIDE, stride)
    for image, one in zip(images, found, strict=True):
        assert torch.allclose(one, by_hand(image, stride), atol=1e-5)


def test_images_of_several_sizes_are_each_by_itself() -> None:
    """What lies outside of an image changes nothing, whatever it is."""
    sizes = torch.tensor([[12, 9], [10, 16], [12, 9], [6, 16]])
    images = torch.randn(4, 2, 12, 16, generator=torch.Generator().manual_seed(0))
    found = slide_each(model, images, sizes, SIDE, 5)
    for number, (height, width) in enumerate(sizes.tolist()):
        expected = by_hand(images[number, :, :height, :width], 5)
        assert torch.allclose(found[number, :, :height, :width], expected, atol=1e-5)
        assert not found[number, :, height:].any()
        assert not found[number, :, :, width:].any()


def test_a_window_of_the_image_is_the_model_itself() -> None:
    images = torch.randn(3, 2, SIDE, SIDE)
    assert torch.equal(slide(model, images, SIDE, 3), model(images))


@pytest.mark.parametrize(
    ("length", "side", "stride", "expected"),
    [(480, 96, 96, [0, 96, 192, 288, 384]), (360, 96, 96, [0, 96, 192, 264]), (96, 96, 64, [0]), (50, 96, 64, [0]),
     (97, 96, 64, [0, 1]), (683, 512, 480, [0, 171])],
)  # fmt: skip
def test_where_windows_start(length: int, side: int, stride: int, expected: Any) -> None:
    assert window_starts(length, side, stride) == expected

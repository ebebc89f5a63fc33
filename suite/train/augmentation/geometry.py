"""Pillow's affine transforms on batches, with a separate transform for each image.

A matrix is float64 [B, 6], in Pillow's order: output pixel (x, y) shows the input at (a x + b y + c, d x + e y + f).
Coordinates start at the image's corner, and each pixel is at its centre. Pixels that map outside the input get the
fill colour.
Source: Pillow's libImaging/Geometry.c.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from suite.data.transfer import to_bytes

NEAREST, BILINEAR, BICUBIC = range(3)


def affine(images: Tensor, matrix: Tensor, interpolation: int, fill: Tensor) -> Tensor:
    """Transform a batch of images.

    Args:
        images: uint8 [B, C, H, W].
        matrix: The transform of each image, float64 [B, 6].
        interpolation: `NEAREST`, `BILINEAR` or `BICUBIC`, for all images.
        fill: The fill colour, uint8 [C].
    """
    height, width = images.shape[2:]
    across, down = _centres(images)
    a, b, c, d, e, f = (column.view(-1, 1, 1) for column in matrix.float().unbind(1))
    x, y = a * across + b * down + c, d * across + e * down + f
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    columns = list(_taps(x, interpolation, width))
    # One tap at a time: all 16 of bicubic interpolation together take many times the memory of the images.
    taps = (
        (first + column, row_weight * column_weight)
        for first, row_weight in ((row * width, weight) for row, weight in _taps(y, interpolation, height))
        for column, column_weight in columns
    )
    return _finish(_sum(images, taps), inside, fill)


def slide(images: Tensor, offset: Tensor, interpolation: int, fill: Tensor) -> Tensor:
    """Shift each row horizontally: the same as `affine` with (1, b, c, 0, 1, 0), at a quarter of the cost.

    Args:
        images: uint8 [B, C, H, W].
        offset: b and c of each image, float64 [B, 2].
        interpolation: `NEAREST`, `BILINEAR` or `BICUBIC`, for all images.
        fill: The fill colour, uint8 [C].
    """
    width = images.shape[3]
    across, down = _centres(images)
    b, c = (column.view(-1, 1, 1) for column in offset.float().unbind(1))
    x = across + b * down + c
    first = (torch.arange(images.shape[2], dtype=torch.int32, device=images.device) * width)[:, None]
    taps = ((first + column, weight) for column, weight in _taps(x, interpolation, width))
    return _finish(_sum(images, taps), (x >= 0) & (x < width), fill)


def shift(images: Tensor, distance: Tensor, interpolation: int, fill: Tensor) -> Tensor:
    """Shift one image vertically: the same as `affine` with (1, 0, 0, 0, 1, f), at a fraction of the cost.

    Whole rows are copied, and all pixels of a row have one weight.

    Args:
        images: uint8 [1, C, H, W].
        distance: f, float64 [1].
        interpolation: `NEAREST`, `BILINEAR` or `BICUBIC`.
        fill: The fill colour, uint8 [C].
    """
    height = images.shape[2]
    _, down = _centres(images)
    y = down + distance.float()
    values = torch.zeros(images.shape, device=images.device)
    for rows, weight in _taps(y, interpolation, height):
        values.addcmul_(images.index_select(2, rows.flatten()).float(), weight[:, None])
    return _finish(values, (y >= 0) & (y < height), fill)


def rotation(degrees: Tensor, height: int, width: int) -> Tensor:
    """The matrices of Pillow's `Image.rotate`, float64 [B, 6].

    Args:
        degrees: Counter-clockwise angles about the centre, float64 [B].
        height: Height of the images.
        width: Width of the images.
    """
    angle = -degrees * (math.pi / 180)
    cos, sin = angle.cos(), angle.sin()
    x, y = width / 2, height / 2
    return torch.stack([cos, sin, x - cos * x - sin * y, -sin, cos, y + sin * x - cos * y], dim=1)


def _centres(images: Tensor) -> tuple[Tensor, Tensor]:
    """The coordinates of pixel centres: x as [1, 1, W], y as [1, H, 1]."""
    height, width = images.shape[2:]
    across = torch.arange(width, device=images.device) + 0.5
    down = torch.arange(height, device=images.device) + 0.5
    return across.view(1, 1, -1), down.view(1, -1, 1)


def _taps(position: Tensor, interpolation: int, length: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The input pixels that each position is interpolated from, and their weights, along one axis.

    Pillow's bicubic kernel has a = -1 here, but a = -1/2 for resizing.

    Args:
        position: Input coordinates.
        interpolation: `NEAREST`, `BILINEAR` or `BICUBIC`.
        length: Pixels along this axis; indices are clamped to it.

    Yields:
        Indices, int32, and weights, float32, in the shape of the positions: 1, 2 or 4 times.
    """
    if interpolation == NEAREST:
        yield position.floor().int().clamp_(0, length - 1), torch.ones_like(position)
        return
    shifted = position - 0.5
    before = shifted.floor()
    d = shifted - before  # distance from the pixel before, from 0 to 1
    if interpolation == BILINEAR:
        steps, weights = range(2), [1 - d, d]
    else:
        bend = d * (1 - d)
        left, right = bend * (1 - d), bend * d
        steps, weights = range(-1, 3), [-left, 1 - d + left, d + right, -right]
    first = before.int()
    for step, weight in zip(steps, weights, strict=True):
        yield (first + step).clamp_(0, length - 1), weight


def _sum(images: Tensor, taps: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
    """The weighted sum of the input pixels, float32, in the shape of the images.

    Args:
        images: uint8 [B, C, H, W].
        taps: Indices in the flattened images, int32, and weights, float32: [B, H, W] each, the same for all channels.
    """
    values, pixels = torch.zeros(images.shape, device=images.device).flatten(2), images.flatten(2)
    for index, weight in taps:
        index, weight = index.flatten(1), weight.flatten(1)
        if len(images) == 1:  # twice as fast as `gather`
            for plane, value in zip(pixels[0], values[0], strict=True):
                value.addcmul_(plane.index_select(0, index[0]).float(), weight[0])
        else:
            chosen = pixels.gather(2, index.long()[:, None].expand(pixels.shape))
            values.addcmul_(chosen.float(), weight[:, None])
    return values.view(images.shape)


def _finish(values: Tensor, inside: Tensor, fill: Tensor) -> Tensor:
    # Values are truncated. The offset compensates for weights that sum to slightly less than 1 by rounding.
    whole = to_bytes(values.add_(2**-10))
    seen = inside.to(torch.uint8)[:, None]
    return whole.mul_(seen).add_(fill.view(1, -1, 1, 1) * (1 - seen))

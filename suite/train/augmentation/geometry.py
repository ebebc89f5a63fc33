"""Pillow's affine transforms on batches, each image with its own.

A matrix is float64 [B, 6], in Pillow's order: output pixel (x, y) shows the input at (a x + b y + c, d x + e y + f),
both measured from the corner, at centres of pixels. What lies outside of the input gets the fill colour.
Source: Pillow's libImaging/Geometry.c.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from suite.data.transfer import to_bytes

NEAREST, BILINEAR, BICUBIC = range(3)


def affine(images: Tensor, matrix: Tensor, interpolation: int, fill: Tensor) -> Tensor:
    """Transform uint8 [B, C, H, W], all with one interpolation. fill: uint8 [C]."""
    height, width = images.shape[2:]
    across, down = _centres(images)
    a, b, c, d, e, f = (column.view(-1, 1, 1) for column in matrix.float().unbind(1))
    x, y = a * across + b * down + c, d * across + e * down + f
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    columns, column_weights = _taps(x, interpolation, width)
    rows, row_weights = _taps(y, interpolation, height)
    index = rows[:, None] * width + columns  # [taps, taps, B, H, W]
    weights = row_weights[:, None] * column_weights
    index, weights = (part.flatten(0, 1).flatten(2) for part in (index, weights))
    return _finish(_sum(images.flatten(2), 2, index, weights).view(images.shape), inside, fill)


def slide(images: Tensor, offset: Tensor, interpolation: int, fill: Tensor) -> Tensor:
    """Move each row of uint8 [B, C, H, W] along itself: `affine` with (1, b, c, 0, 1, 0), at a quarter of the work.

    offset: float64 [B, 2], the b and c of each image.
    """
    width = images.shape[3]
    across, down = _centres(images)
    b, c = (column.view(-1, 1, 1) for column in offset.float().unbind(1))
    x = across + b * down + c
    return _finish(_sum(images, 3, *_taps(x, interpolation, width)), (x >= 0) & (x < width), fill)


def rotation(degrees: Tensor, height: int, width: int) -> Tensor:
    """The matrices of `Image.rotate`: counter-clockwise about the centre. degrees: float64 [B]."""
    angle = -degrees * (math.pi / 180)
    cos, sin = angle.cos(), angle.sin()
    x, y = width / 2, height / 2
    return torch.stack([cos, sin, x - cos * x - sin * y, -sin, cos, y + sin * x - cos * y], dim=1)


def _centres(images: Tensor) -> tuple[Tensor, Tensor]:
    """The coordinates of the centres of pixels: x as [1, 1, W], y as [1, H, 1]."""
    height, width = images.shape[2:]
    across = torch.arange(width, device=images.device) + 0.5
    down = torch.arange(height, device=images.device) + 0.5
    return across.view(1, 1, -1), down.view(1, -1, 1)


def _taps(position: Tensor, interpolation: int, length: int) -> tuple[Tensor, Tensor]:
    """The pixels about a position that count in it, and how much: int64 and float32, [1, 2 or 4, *position.shape].

    Pillow's bicubic kernel has a = -1 here, but a = -1/2 where it resizes.
    """
    if interpolation == NEAREST:
        return position.floor().long().clamp_(0, length - 1)[None], torch.ones_like(position)[None]
    shifted = position - 0.5
    before = shifted.floor()
    d = shifted - before  # between pixels
    if interpolation == BILINEAR:
        steps, weights = range(2), [1 - d, d]
    else:
        bend = d * (1 - d)
        left, right = bend * (1 - d), bend * d
        steps, weights = range(-1, 3), [-left, 1 - d + left, d + right, -right]
    first = before.long()
    return torch.stack([first + step for step in steps]).clamp_(0, length - 1), torch.stack(weights)


def _sum(images: Tensor, dimension: int, index: Tensor, weights: Tensor) -> Tensor:
    """What the taps add up to: float32, like the images. index, weights: [taps, B, …], for all channels alike."""
    values = torch.zeros(images.shape, device=images.device)
    for tap, weight in zip(index, weights, strict=True):
        pixels = images.gather(dimension, tap[:, None].expand(images.shape))
        values.addcmul_(pixels.float(), weight[:, None])
    return values


def _finish(values: Tensor, inside: Tensor, fill: Tensor) -> Tensor:
    # Values are truncated; weights that sum to a hair less than one must not cost a level.
    whole = to_bytes(values.add_(2**-10))
    seen = inside.to(torch.uint8)[:, None]
    return whole.mul_(seen).add_(fill.view(1, -1, 1, 1) * (1 - seen))

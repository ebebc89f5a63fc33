"""Pillow's affine transforms on batches, each image with its own.

A matrix is float64 [B, 6], in Pillow's order: output pixel (x, y) shows the input at (a x + b y + c, d x + e y + f),
both measured from the corner, at centres of pixels. What lies outside of the input gets the fill colour.
Source: Pillow's libImaging/Geometry.c.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

NEAREST, BILINEAR, BICUBIC = range(3)  # of an image's interpolation, int64 [B]


def affine(images: Tensor, matrix: Tensor, interpolation: Tensor, fill: Tensor) -> Tensor:
    """Transform uint8 [B, C, H, W]. interpolation: int64 [B], on any device. fill: uint8 [C]."""
    height, width = images.shape[2:]
    across, down = _centres(images)
    a, b, c, d, e, f = (column.view(-1, 1, 1) for column in matrix.float().unbind(1))
    x, y = a * across + b * down + c, d * across + e * down + f
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    columns, column_weights = _taps(x, interpolation, width)
    rows, row_weights = _taps(y, interpolation, height)
    flat = images.flatten(2).float()
    values = torch.zeros_like(flat)
    for row, row_weight in zip(rows, row_weights, strict=True):
        for column, column_weight in zip(columns, column_weights, strict=True):
            index = (row * width + column).flatten(1)[:, None].expand_as(flat)
            values.addcmul_(flat.gather(2, index), (row_weight * column_weight).flatten(1)[:, None])
    return _finish(values.view(images.shape), inside, fill)


def slide(images: Tensor, offset: Tensor, interpolation: Tensor, fill: Tensor) -> Tensor:
    """Move each row of uint8 [B, C, H, W] along itself: `affine` with (1, b, c, 0, 1, 0), at a quarter of the work.

    offset: float64 [B, 2], the b and c of each image.
    """
    width = images.shape[3]
    across, down = _centres(images)
    b, c = (column.view(-1, 1, 1) for column in offset.float().unbind(1))
    x = across + b * down + c
    start = images.float()
    values = torch.zeros_like(start)
    for column, weight in zip(*_taps(x, interpolation, width), strict=True):
        values.addcmul_(start.gather(3, column[:, None].expand(images.shape)), weight[:, None])
    return _finish(values, (x >= 0) & (x < width), fill)


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


def _taps(position: Tensor, interpolation: Tensor, length: int) -> tuple[list[Tensor], list[Tensor]]:
    """The four pixels from the one before the pixel before a position, and what each counts: like `position`.

    Pillow's bicubic kernel has a = -1 here, but a = -1/2 where it resizes.
    """
    kind = interpolation.view(-1, 1, 1)
    nearest = kind == NEAREST
    shifted = torch.where(nearest, position, position - 0.5)
    before = shifted.floor()
    d = (shifted - before).masked_fill(nearest, 0)  # between pixels
    bend = (kind == BICUBIC) * d * (1 - d)
    left, right = bend * (1 - d), bend * d
    pixels = [(before.long() + step).clamp(0, length - 1) for step in range(-1, 3)]
    return pixels, [-left, 1 - d + left, d + right, -right]


def _finish(values: Tensor, inside: Tensor, fill: Tensor) -> Tensor:
    # Values are truncated; weights that sum to a hair less than one must not cost a level.
    whole = (values + 2**-10).clamp_(0, 255).to(torch.uint8)
    return torch.where(inside[:, None], whole, fill.view(1, -1, 1, 1))

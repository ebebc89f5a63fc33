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
    kind = interpolation.view(-1, 1, 1)
    column, dx = _place(x, kind)
    row, dy = _place(y, kind)
    flat = images.flatten(2)
    values = []
    for step in range(-1, 3):
        start = (row + step).clamp(0, height - 1) * width
        taps = [_pick(flat, start + (column + i).clamp(0, width - 1)) for i in range(-1, 3)]
        values.append(_curve(taps, dx[:, None], kind[:, None]))
    return _finish(_curve(values, dy[:, None], kind[:, None]), inside, fill)


def slide(images: Tensor, offset: Tensor, interpolation: Tensor, fill: Tensor) -> Tensor:
    """Move each row of uint8 [B, C, H, W] along itself: `affine` with (1, b, c, 0, 1, 0), at a quarter of the work.

    offset: float64 [B, 2], the b and c of each image.
    """
    width = images.shape[3]
    across, down = _centres(images)
    b, c = (column.view(-1, 1, 1) for column in offset.float().unbind(1))
    x = across + b * down + c
    kind = interpolation.view(-1, 1, 1)
    column, dx = _place(x, kind)
    taps = []
    for step in range(-1, 3):
        index = (column + step).clamp(0, width - 1)[:, None].expand(images.shape)
        taps.append(images.gather(3, index).float())
    inside = (x >= 0) & (x < width)
    return _finish(_curve(taps, dx[:, None], kind[:, None]), inside, fill)


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


def _place(position: Tensor, kind: Tensor) -> tuple[Tensor, Tensor]:
    """The pixel before a position, and how far behind its centre that is."""
    shifted = torch.where(kind == NEAREST, position, position - 0.5)
    before = shifted.floor()
    return before.long(), shifted - before


def _pick(flat: Tensor, index: Tensor) -> Tensor:
    """flat: uint8 [B, C, H × W]. index: int64 [B, H, W]. Returns float32 [B, C, H, W]."""
    batch, channels = flat.shape[:2]
    chosen = index.flatten(1)[:, None].expand(batch, channels, -1)
    return flat.gather(2, chosen).float().view(batch, channels, *index.shape[1:])


def _curve(taps: list[Tensor], d: Tensor, kind: Tensor) -> Tensor:
    """The value at d in [0, 1) between the second tap and the third.

    In Horner's form, as Pillow has it, so that even ground stays even: its results are truncated.
    """
    first, second, third, fourth = taps
    cubic = second + d * (
        third - first + d * (2 * (first - second) + third - fourth + d * (second - first - third + fourth))
    )
    straight = second + d * (third - second)
    return torch.where(kind == BICUBIC, cubic, torch.where(kind == BILINEAR, straight, second))


def _finish(values: Tensor, inside: Tensor, fill: Tensor) -> Tensor:
    return torch.where(inside[:, None], values.clamp(0, 255).to(torch.uint8), fill.view(1, -1, 1, 1))

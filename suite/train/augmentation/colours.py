"""Pillow's colour operations on batches that look at more than one number of an image at once, bit for bit.

Each takes uint8 [B, C, H, W] with one or three channels and a factor for each image, float64 [B]; each returns uint8 of
the same shape. Source: Pillow's ImageEnhance, ImageFilter and their C code.
"""

from __future__ import annotations

import torch
from torch import Tensor

from suite.data.transfer import to_bytes


def colour(images: Tensor, factor: Tensor) -> Tensor:
    """Blend with the grey image. An image without colour stays as it is."""
    return to_bytes(blend(grey(images).float(), images.float(), factor.view(-1, 1, 1, 1)))


def sharpness(images: Tensor, factor: Tensor) -> Tensor:
    """Blend with the smoothed image, whose outermost pixels are the image's own."""
    if min(images.shape[2:]) < 3:
        return images
    wide = images.to(torch.int16)
    rows = wide[:, :, :-2] + wide[:, :, 1:-1] + wide[:, :, 2:]
    total = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:] + 4 * wide[:, :, 1:-1, 1:-1]
    sharp = images.float()
    smooth = sharp.clone()
    # Thirteenths, rounded: in float32 the quotient of such small integers never reaches the next one.
    smooth[:, :, 1:-1, 1:-1] = ((2 * total + 13).float() / 26).floor_()
    return to_bytes(blend(smooth, sharp, factor.view(-1, 1, 1, 1)))


def grey(images: Tensor) -> Tensor:
    """ITU-R 601-2 luma as Pillow rounds it: uint8 [B, 1, H, W]."""
    if images.shape[1] == 1:
        return images
    red, green, blue = images.int().split(1, dim=1)
    luma: Tensor = (19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16
    return luma.to(torch.uint8)


def blend(first: Tensor, second: Tensor, share: Tensor) -> Tensor:
    """The first, and of the way to the second the share, in float32: `Image.blend` before it clamps and truncates."""
    # Two steps: a fused multiply-add rounds once where Pillow rounds twice.
    return ((second - first) * share.float()).add_(first)

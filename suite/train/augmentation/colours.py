"""Pillow's colour operations that combine several channels or pixels, on batches and bit for bit.

Each takes images, uint8 [B, C, H, W] with one or three channels, and a factor per image, float64 [B]. Each returns
uint8 of the same shape. `tables.py` has the operations that map each value by itself.
Source: Pillow's ImageEnhance, ImageFilter and their C code.
"""

from __future__ import annotations

import torch
from torch import Tensor

from suite.data.transfer import to_bytes


def colour(images: Tensor, factor: Tensor) -> Tensor:
    """Blend the grey version of each image with the image. Grey images don't change."""
    return to_bytes(blend(grey(images).float(), images.float(), factor.view(-1, 1, 1, 1)))


def sharpness(images: Tensor, factor: Tensor) -> Tensor:
    """Blend a smoothed version of each image with the image. The smoothing leaves border pixels unchanged."""
    if min(images.shape[2:]) < 3:
        return images
    wide = images.to(torch.int16)
    rows = wide[:, :, :-2] + wide[:, :, 1:-1] + wide[:, :, 2:]
    total = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:] + 4 * wide[:, :, 1:-1, 1:-1]
    sharp = images.float()
    smooth = sharp.clone()
    # total / 13, rounded half up. These integers are small, so the float32 quotient never rounds up to the next one.
    smooth[:, :, 1:-1, 1:-1] = ((2 * total + 13).float() / 26).floor_()
    return to_bytes(blend(smooth, sharp, factor.view(-1, 1, 1, 1)))


def grey(images: Tensor) -> Tensor:
    """ITU-R 601-2 luma with Pillow's rounding: uint8 [B, 1, H, W]."""
    if images.shape[1] == 1:
        return images
    red, green, blue = images.int().split(1, dim=1)
    luma: Tensor = (19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16
    return luma.to(torch.uint8)


def blend(first: Tensor, second: Tensor, share: Tensor) -> Tensor:
    """Blend two images: first + share × (second − first), float32. Pillow's `Image.blend` also clamps and truncates.

    Args:
        first: The result for a share of 0, float32.
        second: The result for a share of 1, float32.
        share: The weight of the second, broadcastable to both.
    """
    # Two operations, because a fused multiply-add rounds once where Pillow rounds twice.
    return ((second - first) * share.float()).add_(first)

"""Pillow's colour operations on batches, bit for bit.

Each takes uint8 [B, C, H, W] with one or three channels, and most an argument for each image, float64 [B]; each
returns uint8 of the same shape. Source: Pillow's ImageOps, ImageEnhance, ImageFilter and their C code.
"""

from __future__ import annotations

import torch
from torch import Tensor


def invert(images: Tensor) -> Tensor:
    """255 - x."""
    return 255 - images


def solarize(images: Tensor, threshold: Tensor) -> Tensor:
    """Invert the pixels from the threshold on."""
    return torch.where(images < _per_image(threshold), images, 255 - images)


def solarize_add(images: Tensor, amount: Tensor) -> Tensor:
    """Add the amount to the pixels below 128. Source: timm's `solarize_add`."""
    brighter = (images.int() + _per_image(amount.int())).clamp_(max=255).to(torch.uint8)
    return torch.where(images < 128, brighter, images)


def posterize(images: Tensor, bits: Tensor) -> Tensor:
    """Keep the highest bits; of 0 bits black remains, as in Pillow before version 13, which refuses it."""
    mask = 255 - (torch.full_like(bits, 2) ** (8 - bits.clamp(0, 8)) - 1)
    return images & _per_image(mask).to(torch.uint8)


def auto_contrast(images: Tensor) -> Tensor:
    """Stretch each channel to the whole range."""
    flat = images.flatten(2)
    low, high = (bound.double()[..., None] for bound in (flat.amin(2), flat.amax(2)))
    scale = torch.div(torch.tensor(255.0, dtype=torch.float64, device=images.device), high - low)
    levels = torch.arange(256, dtype=torch.float64, device=images.device)
    table = torch.trunc(levels * scale - low * scale).clamp(0, 255)
    return _look_up(images, torch.where(high > low, table, levels))


def equalize(images: Tensor) -> Tensor:
    """Flatten each channel's histogram."""
    batch, channels = images.shape[:2]
    flat = images.flatten(2).long()
    counts = torch.zeros(batch, channels, 256, dtype=torch.long, device=images.device)
    counts.scatter_add_(2, flat, torch.ones_like(flat))
    last = counts.gather(2, flat.amax(2, keepdim=True))
    step = (flat.shape[2] - last) // 255
    table = (step // 2 + counts.cumsum(2) - counts) // step.clamp(min=1)
    levels = torch.arange(256, device=images.device)
    return _look_up(images, torch.where(step > 0, table.clamp(max=255), levels))


def brightness(images: Tensor, factor: Tensor) -> Tensor:
    """Blend with black."""
    return _blend(torch.zeros_like(images), images, factor)


def contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Blend with the mean grey."""
    mean = torch.floor(grey(images).double().mean((1, 2, 3), keepdim=True) + 0.5)
    return _blend(mean.expand_as(images), images, factor)


def colour(images: Tensor, factor: Tensor) -> Tensor:
    """Blend with the grey image. An image without colour stays as it is."""
    return _blend(grey(images).expand_as(images), images, factor)


def sharpness(images: Tensor, factor: Tensor) -> Tensor:
    """Blend with the smoothed image, whose outermost pixels are the image's own."""
    if min(images.shape[2:]) < 3:
        return images
    wide = images.int()
    rows = wide[:, :, :-2] + wide[:, :, 1:-1] + wide[:, :, 2:]
    total = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:] + 4 * wide[:, :, 1:-1, 1:-1]
    inner = (2 * total + 13) // 26  # thirteenths, rounded
    smooth = images.clone()
    smooth[:, :, 1:-1, 1:-1] = inner.to(torch.uint8)
    return _blend(smooth, images, factor)


def grey(images: Tensor) -> Tensor:
    """ITU-R 601-2 luma as Pillow rounds it: uint8 [B, 1, H, W]."""
    if images.shape[1] == 1:
        return images
    red, green, blue = images.int().split(1, dim=1)
    luma: Tensor = (19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16
    return luma.to(torch.uint8)


def _per_image(values: Tensor) -> Tensor:
    return values.view(-1, 1, 1, 1)


def _look_up(images: Tensor, tables: Tensor) -> Tensor:
    """tables: [B, C, 256], of values from 0 to 255."""
    return tables.to(torch.uint8).gather(2, images.flatten(2).long()).view_as(images)


def _blend(first: Tensor, second: Tensor, share: Tensor) -> Tensor:
    """The first, and of the way to the second the share, in float32, clamped, then truncated, as `Image.blend`."""
    start = first.float()
    # Two steps: a fused multiply-add rounds once where Pillow rounds twice.
    change = (second.float() - start) * _per_image(share.float())
    return (start + change).clamp_(0, 255).to(torch.uint8)

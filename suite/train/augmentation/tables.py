"""Pillow's operations that map each pixel value by itself, as lookup tables, bit for bit.

Each takes images, uint8 [B, C, H, W] with one or three channels. Most also take an argument per image, float64 [B].
Each returns the new value of every value from 0 to 255: uint8 [B, C, 256], or [B, 1, 256] if all channels share it.
Source: Pillow's ImageOps and ImageEnhance and their C code.
"""

from __future__ import annotations

import torch
from torch import Tensor

from suite.data.transfer import to_bytes
from suite.train.augmentation.colours import blend, grey
from suite.train.augmentation.sizes import is_large


def look_up(images: Tensor, tables: Tensor) -> Tensor:
    """Map each value of images, uint8 [B, C, H, W], by the tables, uint8 [B, 1 or C, 256]."""
    each = tables.expand(-1, images.shape[1], -1)
    if len(images) == 1 and is_large(images):
        return _translate(images, each)
    return each.gather(2, images.flatten(2).long()).view(images.shape)


def _translate(images: Tensor, tables: Tensor) -> Tensor:
    """`look_up` by Python's `bytes.translate`, which takes a third of the time of torch's lookup by indices."""
    planes = zip(images.flatten(0, 1).numpy(), tables.flatten(0, 1).numpy(), strict=True)
    values = b"".join(plane.tobytes().translate(table.tobytes()) for plane, table in planes)
    return torch.frombuffer(bytearray(values), dtype=torch.uint8).view(images.shape)


def invert(images: Tensor) -> Tensor:
    """Map x to 255 - x."""
    return (255 - _levels(images)).expand(len(images), 1, 256)


def solarize(images: Tensor, threshold: Tensor) -> Tensor:
    """Invert the values at or above the threshold."""
    levels = _levels(images)
    return torch.where(levels < _per_image(threshold), levels, 255 - levels)


def solarize_add(images: Tensor, amount: Tensor) -> Tensor:
    """Add the amount to the values below 128. Source: timm's `solarize_add`."""
    levels = _levels(images)
    brighter = (levels.int() + _per_image(amount.int())).clamp_(max=255).to(torch.uint8)
    return torch.where(levels < 128, brighter, levels)


def posterize(images: Tensor, bits: Tensor) -> Tensor:
    """Keep the highest bits. 0 bits give black, as in Pillow before version 13; later versions refuse 0."""
    mask = 255 - (torch.full_like(bits, 2) ** (8 - bits.clamp(0, 8)) - 1)
    return _levels(images) & _per_image(mask).to(torch.uint8)


def auto_contrast(images: Tensor) -> Tensor:
    """Stretch the values of each channel to the range from 0 to 255."""
    flat = images.flatten(2)
    low, high = (bound.double()[..., None] for bound in (flat.amin(2), flat.amax(2)))
    scale = torch.div(torch.full((), 255.0, dtype=torch.float64, device=images.device), high - low)
    levels = _levels(images).double()
    table = torch.trunc(levels * scale - low * scale).clamp(0, 255)
    return torch.where(high > low, table, levels).to(torch.uint8)


def equalize(images: Tensor) -> Tensor:
    """Equalise the histogram of each channel."""
    batch, channels = images.shape[:2]
    flat = images.flatten(2).long()
    counts = torch.zeros(batch, channels, 256, dtype=torch.long, device=images.device)
    counts.scatter_add_(2, flat, torch.ones_like(flat))
    last = counts.gather(2, flat.amax(2, keepdim=True))
    step = (flat.shape[2] - last) // 255
    table = (step // 2 + counts.cumsum(2) - counts) // step.clamp(min=1)
    return torch.where(step > 0, table.clamp(max=255), _levels(images)).to(torch.uint8)


def brightness(images: Tensor, factor: Tensor) -> Tensor:
    """Blend black with each image."""
    levels = _levels(images).float()
    return to_bytes(blend(torch.zeros_like(levels), levels, _per_image(factor)))


def contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Blend the mean grey of each image with the image."""
    mean = torch.floor(grey(images).double().mean((2, 3)) + 0.5)
    return to_bytes(blend(mean[..., None].float(), _levels(images).float(), _per_image(factor)))


def _levels(images: Tensor) -> Tensor:
    return torch.arange(256, dtype=torch.uint8, device=images.device).view(1, 1, -1)


def _per_image(values: Tensor) -> Tensor:
    return values.view(-1, 1, 1)

"""Pad-and-crop and flip of a whole batch, each image with its own draw."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad


def crop_and_flip(images: Tensor, padding: int, flip: bool, generator: torch.Generator) -> Tensor:
    """Crop at random from the image, padded with zeros; then flip every other image, at random.

    images: uint8 [B, C, H, W] on any device. padding: in pixels. generator: on the CPU.
    Returns uint8 [B, C, H, W].
    """
    batch, _, height, width = images.shape
    device = images.device
    if padding == 0 and not flip:
        return images
    rows = torch.arange(height, device=device).expand(batch, height)
    columns = torch.arange(width, device=device).expand(batch, width)
    if flip:
        flipped = torch.rand(batch, generator=generator).to(device) < 0.5
        columns = torch.where(flipped[:, None], columns.flip(1), columns)
    if padding:
        offset = torch.randint(0, 2 * padding + 1, (2, batch), generator=generator).to(device)
        rows, columns = rows + offset[0, :, None], columns + offset[1, :, None]
        images = pad(images, (padding,) * 4)
    image = torch.arange(batch, device=device)[:, None, None]
    # One advanced index picks every output pixel: [B, H, W, C], then back to [B, C, H, W].
    return images.permute(0, 2, 3, 1)[image, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)

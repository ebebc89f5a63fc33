"""Random crop and flip of a whole batch on its device, each image with its own draw."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from suite.recipe import Recipe


def augment(images: Tensor, recipe: Recipe, generator: torch.Generator) -> Tensor:
    """Pad-and-crop, then flip, as the recipe says.

    images: uint8 [B, C, H, W] on any device. generator: on the CPU, so that every device sees the same draws.
    Returns uint8 [B, C, H, W].
    """
    batch, _, height, width = images.shape
    device, padding = images.device, recipe.crop_padding
    if padding == 0 and not recipe.flip:
        return images
    rows = torch.arange(height, device=device).expand(batch, height)
    columns = torch.arange(width, device=device).expand(batch, width)
    if recipe.flip:
        flipped = torch.rand(batch, generator=generator).to(device) < 0.5
        columns = torch.where(flipped[:, None], columns.flip(1), columns)
    if padding:
        offset = torch.randint(0, 2 * padding + 1, (2, batch), generator=generator).to(device)
        rows, columns = rows + offset[0, :, None], columns + offset[1, :, None]
        images = pad(images, (padding,) * 4)
    image = torch.arange(batch, device=device)[:, None, None]
    # One advanced index picks every output pixel: [B, H, W, C], then back to [B, C, H, W].
    return images.permute(0, 2, 3, 1)[image, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


class Normalise:
    """uint8 pixels to float32, less the data set's mean, over its standard deviation, per channel."""

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...], device: torch.device) -> None:
        mean_, std_ = (torch.tensor(values, device=device).view(1, -1, 1, 1) for values in (mean, std))
        self._scale, self._shift = 1 / (255 * std_), -mean_ / std_

    def __call__(self, images: Tensor) -> Tensor:
        """[B, C, H, W] uint8 to [B, C, H, W] float32."""
        return torch.addcmul(self._shift, images.float(), self._scale)

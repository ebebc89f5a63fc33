"""Crops of images, resized exactly as Pillow does: random crops for training, the centre for testing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from suite.data.transfer import to_bytes, to_device

_ATTEMPTS = 10  # after these, the largest window at the centre is used


@dataclass(frozen=True)
class Crops:
    """The random numbers for the random resized crops of a batch. With an image's size, they determine its window.

    All tensors are on the CPU. Source: torchvision's `RandomResizedCrop`, timm's `RandomResizedCropAndInterpolation`.

    Attributes:
        scale: smallest and largest fraction of the image's area.
        ratio: smallest and largest aspect ratio, width to height.
        uniform: float64 [B, 10, 2] in [0, 1), for area and aspect ratio of each attempt.
        place: float64 [B, 2] in [0, 1), for the window's place.
        bicubic: bool [B]; True for bicubic interpolation, False for bilinear.
        resizer: "pillow", or "torch" for image files, which is faster; images in memory don't depend on it.
    """

    scale: tuple[float, float]
    ratio: tuple[float, float]
    uniform: Tensor
    place: Tensor
    bicubic: Tensor
    resizer: str = "pillow"

    def windows(self, heights: Tensor, widths: Tensor) -> Tensor:
        """The windows in images of these heights and widths, int64 [B] each.

        Returns top, left, height and width, int64 [B, 4].
        """
        area = heights * widths
        target, aspect = self._shares * area[:, None], self._aspects
        width = (target * aspect).sqrt().round().long().clamp(min=1)
        height = (target / aspect).sqrt().round().long().clamp(min=1)
        fits = (width <= widths[:, None]) & (height <= heights[:, None])
        first = fits.long().argmax(1, keepdim=True)  # the first attempt that fits
        height, width = (side.gather(1, first).flatten() for side in (height, width))
        largest_height = torch.minimum(heights, (widths / self.ratio[0]).round().long().clamp(min=1))
        largest_width = torch.minimum(widths, (heights * self.ratio[1]).round().long().clamp(min=1))
        found = fits.any(1)
        height = torch.where(found, height, largest_height)
        width = torch.where(found, width, largest_width)
        free = torch.stack([heights - height, widths - width], dim=1)
        corner = torch.where(found[:, None], (self.place * (free + 1)).long(), free // 2)
        return torch.cat([corner, height[:, None], width[:, None]], dim=1)

    def take(self, images: Tensor) -> Crops:
        """The crops of the images at these indices, int64 [n]."""
        return replace(self, uniform=self.uniform[images], place=self.place[images], bicubic=self.bicubic[images])

    @classmethod
    def joined(cls, parts: Sequence[Crops]) -> Crops:
        """Concatenate the crops of several batches."""
        drawn = (torch.cat([getattr(part, name) for part in parts]) for name in ("uniform", "place", "bicubic"))
        uniform, place, bicubic = drawn
        return replace(parts[0], uniform=uniform, place=place, bicubic=bicubic)

    def window(self, image: int, height: int, width: int) -> tuple[int, int, int, int]:
        """The window of one image: top, left, height and width.

        Args:
            image: the image's index in the batch.
            height: the image's height.
            width: the image's width.
        """
        area = height * width
        for share, aspect in self._attempts[image]:
            target = share * area
            wide, tall = (max(1, round(math.sqrt(value))) for value in (target * aspect, target / aspect))
            if wide <= width and tall <= height:
                down, across = self._places[image]
                return int(down * (height - tall + 1)), int(across * (width - wide + 1)), tall, wide
        one = self.take(torch.tensor([image]))
        top, left, tall, wide = one.windows(torch.tensor([height]), torch.tensor([width]))[0].tolist()
        return top, left, tall, wide

    # Image files are cropped one by one, as their sizes become known. Python's floats are then 20 times as fast as
    # tensors of one image, and these two lists are made once per batch.
    @cached_property
    def _attempts(self) -> list[list[list[float]]]:
        """The fraction of the area and the aspect ratio of each image's attempts."""
        return torch.stack([self._shares, self._aspects], dim=2).tolist()

    @cached_property
    def _places(self) -> list[list[float]]:
        return self.place.tolist()

    @property
    def _shares(self) -> Tensor:
        return self.scale[0] + (self.scale[1] - self.scale[0]) * self.uniform[..., 0]

    @property
    def _aspects(self) -> Tensor:
        low, high = (math.log(bound) for bound in self.ratio)
        return (low + (high - low) * self.uniform[..., 1]).exp()


def draw_crops(
    count: int,
    scale: tuple[float, float],
    ratio: tuple[float, float],
    bicubic: Tensor,
    generator: torch.Generator,
    resizer: str = "pillow",
) -> Crops:
    """Draw the crops of `count` images.

    Args:
        count: the number of images.
        scale: smallest and largest fraction of the image's area.
        ratio: smallest and largest aspect ratio, width to height.
        bicubic: bool [count]; True for bicubic interpolation, False for bilinear.
        generator: the source of random numbers, on the CPU.
        resizer: see `Crops`.
    """
    uniform = torch.rand(count, _ATTEMPTS, 2, generator=generator, dtype=torch.float64)
    place = torch.rand(count, 2, generator=generator, dtype=torch.float64)
    return Crops(scale, ratio, uniform, place, bicubic, resizer)


def crop_and_resize(images: Tensor, windows: Tensor, bicubic: Tensor, height: int, width: int) -> Tensor:
    """Resize each image's window to height × width with antialiasing, as Pillow's `Image.resize` does.

    Args:
        images: uint8 [B, C, H, W] on any device.
        windows: top, left, height and width, int64 [B, 4] on the CPU.
        bicubic: bool [B] on the CPU; True for bicubic interpolation, False for bilinear.
        height: the output height.
        width: the output width.

    Returns:
        uint8 [B, C, height, width].
    """
    top, left, tall, wide = windows.unbind(1)
    across = _distinct_weights(left, wide, images.shape[3], width, bicubic, images.device)
    down = _distinct_weights(top, tall, images.shape[2], height, bicubic, images.device)
    return resample(images, across, down)


def crop_to_nearest(masks: Tensor, windows: Tensor) -> Tensor:
    """Resize each mask's window to the mask's size by taking the nearest pixel, as Pillow does.

    Args:
        masks: uint8 [B, C, H, W] on any device.
        windows: top, left, height and width, int64 [B, 4] on the CPU.

    Returns:
        uint8 [B, C, H, W].
    """
    height, width = masks.shape[2:]
    top, left, tall, wide = windows.double()[:, :, None].unbind(1)
    rows = (top + ((torch.arange(height) + 0.5) * (tall / height)).floor()).long()
    columns = (left + ((torch.arange(width) + 0.5) * (wide / width)).floor()).long()
    places = (rows[:, :, None] * width + columns[:, None, :]).flatten(1)[:, None].expand(-1, masks.shape[1], -1)
    return masks.flatten(2).gather(2, to_device(places, masks.device)).view(masks.shape)


def resize_and_crop_centre(images: Tensor, resized: int) -> Tensor:
    """Resize square images bicubically to `resized` pixels per side, then crop the centre to the original size.

    images: uint8 [B, C, S, S]. Returns the same shape.
    """
    size = images.shape[3]
    if resized == size:
        return images
    whole = torch.full((1,), float(size), device=images.device)
    bicubic = torch.ones(1, dtype=torch.bool, device=images.device)
    start = (resized - size) // 2
    weights = _weights(whole - size, whole, size, resized, bicubic)[:, start : start + size]
    return resample(images, weights, weights)


def resample(images: Tensor, across: Tensor, down: Tensor) -> Tensor:
    """Apply the weights, [B or 1, out, in]: first along rows, then along columns.

    As in Pillow, values are rounded to integers between the two passes.
    """
    start = images.to(torch.float32, memory_format=torch.contiguous_format)
    rows = start.flatten(1, 2) @ across.transpose(1, 2)  # [B, C × H, width]
    rows = rows.add_(0.5).floor_().clamp_(0, 255).view(*images.shape[:3], -1)
    return to_bytes((down[:, None] @ rows).add_(0.5))


def _distinct_weights(
    start: Tensor, length: Tensor, inner: int, outer: int, bicubic: Tensor, device: torch.device
) -> Tensor:
    """`_weights` on the device, for windows on the CPU. Equal windows are computed once."""
    most = inner + 1  # more than any length; each window is encoded as one number, which torch sorts much faster
    kinds, which = ((start * most + length) * 2 + bicubic).unique(return_inverse=True)
    kinds = to_device(kinds, device)
    start, length = kinds // (2 * most), kinds // 2 % most
    return _weights(start.float(), length.float(), inner, outer, kinds % 2 > 0).index_select(
        0, to_device(which, device)
    )


def _weights(start: Tensor, length: Tensor, inner: int, outer: int, bicubic: Tensor) -> Tensor:
    """The resampling weights of input pixels for each output pixel, float32 [B, outer, inner].

    Source: Pillow's libImaging/Resample.c.

    Args:
        start: the windows' first pixels, float [B].
        length: the windows' lengths, float [B].
        inner: the number of input pixels.
        outer: the number of output pixels.
        bicubic: bool [B]; True for bicubic interpolation, False for bilinear.
    """
    scale = (length / outer).view(-1, 1, 1)
    pixels = torch.arange(inner, device=start.device).view(1, 1, -1) - start.view(-1, 1, 1) + 0.5
    centres = (torch.arange(outer, device=start.device).view(1, -1, 1) + 0.5) * scale
    distance = (pixels - centres).abs() / scale.clamp(min=1)
    kernel = torch.where(bicubic.view(-1, 1, 1), _cubic(distance), (1 - distance).clamp(min=0))
    kernel = kernel.masked_fill((pixels < 0) | (pixels > length.view(-1, 1, 1)), 0)
    return kernel / kernel.sum(2, keepdim=True)


def _cubic(distance: Tensor) -> Tensor:
    """Keys' cubic convolution kernel with a = -1/2."""
    near = (1.5 * distance - 2.5) * distance * distance + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return torch.where(distance < 1, near, torch.where(distance < 2, far, 0.0))

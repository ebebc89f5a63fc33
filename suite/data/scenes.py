"""Random crops of randomly scaled images and their masks, and the windows of a test image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from suite.data.crops import resample
from suite.data.transfer import to_device

TRIES = 10  # crops that are drawn for an image; the last one is taken whatever is in it


@dataclass(frozen=True)
class ScaledCrops:
    """The random numbers for crops of scaled images. With an image's size and its mask, they determine its crop.

    All tensors are on the CPU. Source: `Resize` with a range of ratios and `RandomCrop` of MMSegmentation 0.x.

    Attributes:
        most: the largest share of a crop's labelled pixels that one class may have; 1 for no limit.
        factor: the scale of each image, float64 [B].
        place: float64 [B, TRIES, 2] in [0, 1), for the top and left of each try.
    """

    most: float
    factor: Tensor
    place: Tensor

    def take(self, images: Tensor) -> ScaledCrops:
        """The crops of the images at these indices, int64 [n]."""
        return ScaledCrops(self.most, self.factor[images], self.place[images])

    @classmethod
    def joined(cls, parts: Sequence[ScaledCrops]) -> ScaledCrops:
        """Concatenate the crops of several batches."""
        factor, place = (torch.cat([getattr(part, name) for part in parts]) for name in ("factor", "place"))
        return cls(parts[0].most, factor, place)

    def of(self, images: Tensor, sizes: Tensor, side: int) -> Tensor:
        """Scale and crop images with masks.

        Args:
            images: uint8 [B, C + 1, H, W] on any device; the last channel is the mask: 0 where a pixel is ignored,
                otherwise the class plus 1.
            sizes: rows and columns of each image, int64 [B, 2] on the CPU; the rest of `images` is padding.
            side: pixels on each side of a crop.

        Returns:
            uint8 [B, C + 1, side, side]: images resized bilinearly, as Pillow does, masks to the nearest pixel. Outside
            of a scaled image, all channels are 0.
        """
        scaled = (sizes * self.factor[:, None]).round().long().clamp(min=1)
        free = (scaled - side).clamp(min=0)
        corners = (self.place * (free + 1)[:, None]).long()  # [B, TRIES, 2]
        device, masks = images.device, images[:, -1:]
        chosen = torch.zeros(len(images), dtype=torch.long)
        tried = torch.arange(len(images)) if self.most < 1 else torch.arange(0)
        for number in range(TRIES - 1):
            if not len(tried):
                break
            some = masks.index_select(0, to_device(tried, device))
            found = _nearest(some, sizes[tried], scaled[tried], corners[tried, number], side)
            tried = tried[_too_much(found, self.most).cpu()]
            chosen[tried] = number + 1
        corner = corners[torch.arange(len(images)), chosen]
        down, across = (
            to_device(_weights(corner[:, axis], sizes[:, axis], scaled[:, axis], images.shape[2 + axis], side), device)
            for axis in (0, 1)
        )
        pixels = resample(images[:, :-1], across, down)
        return torch.cat([pixels, _nearest(masks, sizes, scaled, corner, side)], dim=1)


def draw_scaled_crops(count: int, scale: tuple[float, float], most: float, generator: torch.Generator) -> ScaledCrops:
    """Draw the crops of `count` images.

    Args:
        count: the number of images.
        scale: smallest and largest factor.
        most: see `ScaledCrops`.
        generator: the source of random numbers, on the CPU.
    """
    factor = scale[0] + (scale[1] - scale[0]) * torch.rand(count, generator=generator, dtype=torch.float64)
    return ScaledCrops(most, factor, torch.rand(count, TRIES, 2, generator=generator, dtype=torch.float64))


def window_starts(length: int, side: int, stride: int) -> list[int]:
    """The first pixels of the windows along one side of an image.

    They are `stride` apart. The last one ends with the image, so that it can overlap the one before it more.

    Args:
        length: pixels of the image.
        side: pixels of a window.
        stride: pixels from one window to the next.
    """
    last = max(length - side, 0)
    return [*range(0, last, stride), last]


def _too_much(masks: Tensor, most: float) -> Tensor:
    """Whether one class has at least the share `most` of the labelled pixels, bool [B]. masks: uint8 [B, 1, S, S].

    A crop of one class alone, or without a labelled pixel, has too much of it.
    """
    rows = masks.flatten(1).long() + 256 * torch.arange(len(masks), device=masks.device)[:, None]
    counts = torch.bincount(rows.flatten(), minlength=256 * len(masks)).view(-1, 256)[:, 1:]
    return counts.amax(1) >= most * counts.sum(1)


def _nearest(masks: Tensor, sizes: Tensor, scaled: Tensor, corner: Tensor, side: int) -> Tensor:
    """Crops of scaled masks, to the nearest pixel; 0 outside. See `ScaledCrops.of`; corner: top and left, [B, 2]."""
    width = masks.shape[3]
    places, inside = [], []
    for axis in (0, 1):
        at = corner[:, axis, None] + torch.arange(side)  # in the scaled image
        here = (2 * at + 1) * sizes[:, axis, None] // (2 * scaled[:, axis, None])  # exact where pixels are tied
        places.append(torch.minimum(here, sizes[:, axis, None] - 1))
        inside.append(at < scaled[:, axis, None])
    flat = places[0][:, :, None] * width + places[1][:, None, :]
    found = masks.flatten(2).gather(2, to_device(flat.flatten(1)[:, None], masks.device))
    within = inside[0][:, None, :, None] & inside[1][:, None, None, :]
    return found.view(-1, 1, side, side) * to_device(within, masks.device)


def _weights(corner: Tensor, sizes: Tensor, scaled: Tensor, inner: int, side: int) -> Tensor:
    """The weights of input pixels for each output pixel of a crop of a scaled image, float32 [B, side, inner].

    Bilinear with antialiasing, as in Pillow's libImaging/Resample.c. Output pixels outside of the scaled image have no
    weights.

    Args:
        corner: first pixels of the crops in the scaled images, int64 [B].
        sizes: lengths of the images, int64 [B].
        scaled: their lengths after scaling, int64 [B].
        inner: pixels that are stored of each image.
        side: pixels of a crop.
    """
    scale = (sizes / scaled).float().view(-1, 1, 1)
    at = (corner[:, None] + torch.arange(side))[:, :, None]
    pixels = torch.arange(inner).view(1, 1, -1)
    distance = ((pixels + 0.5) - (at + 0.5) * scale).abs() / scale.clamp(min=1)
    kernel = (1 - distance).clamp(min=0).masked_fill(pixels >= sizes.view(-1, 1, 1), 0)
    kernel = kernel / kernel.sum(2, keepdim=True).clamp(min=1e-12)
    return kernel.masked_fill(at >= scaled.view(-1, 1, 1), 0)

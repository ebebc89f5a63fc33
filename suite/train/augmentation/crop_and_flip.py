"""Pad-and-crop and horizontal flip of a whole batch, with separate random draws for each image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from suite.data.transfer import to_device


@dataclass(frozen=True)
class Moves:
    """The random crops and flips of B images, on the CPU.

    Args:
        padding: Padding on each side, in pixels.
        flipped: Whether each image is flipped, bool [B].
        offset: Top and left of each crop in the padded image, int64 [2, B], from 0 to twice the padding.
    """

    padding: int
    flipped: Tensor
    offset: Tensor

    def take(self, images: Tensor) -> Moves:
        """The draws for the images at these indices, int64 [n]."""
        return Moves(self.padding, self.flipped[images], self.offset[:, images])

    @classmethod
    def joined(cls, parts: Sequence[Moves]) -> Moves:
        """Concatenate the draws for several batches."""
        flipped, offset = torch.cat([part.flipped for part in parts]), torch.cat([part.offset for part in parts], dim=1)
        return cls(parts[0].padding, flipped, offset)


def draw_moves(count: int, padding: int, flip: bool, generator: torch.Generator) -> Moves | None:
    """Draw a crop of each zero-padded image, and whether to flip it afterwards.

    Args:
        count: Number of images.
        padding: Padding on each side, in pixels; 0: no crop.
        flip: Whether each image is flipped with probability 0.5.
        generator: A generator on the CPU.

    Returns:
        The draws, or None if images are neither cropped nor flipped.
    """
    if padding == 0 and not flip:
        return None
    flipped = torch.rand(count, generator=generator) < 0.5 if flip else torch.zeros(count, dtype=torch.bool)
    shape = (2, count)
    offset = torch.randint(0, 2 * padding + 1, shape, generator=generator) if padding else torch.zeros(shape).long()
    return Moves(padding, flipped, offset)


def move(images: Tensor, moves: Moves) -> Tensor:
    """Crop and flip images, uint8 [B, C, H, W], on any device. Cropped images have channels-last memory format."""
    if not moves.padding:
        return _flip(images, moves.flipped, 3)
    cropped = _crop(images.permute(0, 2, 3, 1), moves.padding, to_device(moves.offset, images.device))
    return _flip(cropped, moves.flipped, 2).permute(0, 3, 1, 2)


def _flip(images: Tensor, flipped: Tensor, dimension: int) -> Tensor:
    chosen = flipped.nonzero().flatten()
    which = torch.arange(len(images))
    which[chosen] = len(images) + torch.arange(len(chosen))
    mirrored = images.index_select(0, to_device(chosen, images.device)).flip(dimension)
    return torch.cat([images, mirrored]).index_select(0, to_device(which, images.device))


def _crop(images: Tensor, padding: int, offset: Tensor) -> Tensor:
    """Pad images with zeros and crop them. Returns the same shape.

    Args:
        images: uint8 [B, H, W, C].
        padding: Padding on each side, in pixels.
        offset: Top and left of each crop in the padded image, int64 [2, B].
    """
    batch, height, width, channels = images.shape
    padded = pad(images, (0, 0, padding, padding, padding, padding)).contiguous()
    image, row = (torch.arange(length, device=images.device) for length in (batch, height))
    first = (image[:, None] * padded.shape[1] + offset[0, :, None] + row) * padded.shape[2] + offset[1, :, None]
    # Each row of a crop is contiguous in memory, so it can be copied as one slice.
    runs = padded.flatten().unfold(0, width * channels, channels)
    return runs.index_select(0, first.flatten()).view(images.shape)

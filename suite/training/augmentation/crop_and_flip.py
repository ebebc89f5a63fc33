"""Pad-and-crop and flip of a whole batch, each image with its own draw."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from suite.data.transfer import to_device


@dataclass(frozen=True)
class Moves:
    """What is drawn for B images, on the CPU.

    padding: in pixels. flipped: bool [B]. offset: int64 [2, B], from 0 to twice the padding, down and across.
    """

    padding: int
    flipped: Tensor
    offset: Tensor


def draw_moves(count: int, padding: int, flip: bool, generator: torch.Generator) -> Moves | None:
    """Draw a crop from each image, padded with zeros, and whether it is then flipped; None if neither is asked for."""
    if padding == 0 and not flip:
        return None
    flipped = torch.rand(count, generator=generator) < 0.5 if flip else torch.zeros(count, dtype=torch.bool)
    shape = (2, count)
    offset = torch.randint(0, 2 * padding + 1, shape, generator=generator) if padding else torch.zeros(shape).long()
    return Moves(padding, flipped, offset)


def move(images: Tensor, moves: Moves) -> Tensor:
    """Crop and flip uint8 [B, C, H, W], on any device. Returns the same shape, with the channels last in memory."""
    batch, _, height, width = images.shape
    flipped, offset = (to_device(drawn, images.device) for drawn in (moves.flipped, moves.offset))
    rows = torch.arange(height, device=images.device) + offset[0, :, None]
    columns = torch.arange(width, device=images.device)
    columns = torch.where(flipped[:, None], columns.flip(0), columns) + offset[1, :, None]
    padded = pad(images, (moves.padding,) * 4)
    image = torch.arange(batch, device=images.device)[:, None, None]
    # One advanced index picks every output pixel: [B, H, W, C], then back to [B, C, H, W].
    return padded.permute(0, 2, 3, 1)[image, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)

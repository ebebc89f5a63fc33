"""Sliding windows: the logits of images that are larger than a model's input."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor
from torch.nn.functional import pad

from suite.data.scenes import window_starts

Output = Callable[[Tensor], Tensor]


def slide(model: Output, images: Tensor, side: int, stride: int) -> Tensor:
    """The mean logits of the windows that cover each pixel.

    Args:
        model: maps windows [B, C, side, side] to logits [B, classes, side, side].
        images: [B, C, H, W]. Where one is smaller than a window, the window is filled up with zeros.
        side: pixels on each side of a window.
        stride: pixels from one window to the next; the last window ends with the image.

    Returns:
        [B, classes, H, W], float32.
    """
    height, width = images.shape[2:]
    filled = pad(images, (0, max(side - width, 0), 0, max(side - height, 0)))
    total, count = torch.zeros(0, device=images.device), torch.zeros(filled.shape[2:], device=images.device)
    for top, left in product(window_starts(height, side, stride), window_starts(width, side, stride)):
        rows, columns = slice(top, top + side), slice(left, left + side)
        logits = model(filled[:, :, rows, columns].contiguous()).float()
        if not total.numel():
            total = torch.zeros(*logits.shape[:2], *filled.shape[2:], device=images.device)
        total[:, :, rows, columns] += logits
        count[rows, columns] += 1
    return (total / count)[:, :, :height, :width]


def slide_each(model: Output, images: Tensor, sizes: Tensor, side: int, stride: int) -> Tensor:
    """As `slide`, of images that don't fill their rectangle: windows are placed on each image's own rows and columns.

    Args:
        model: see `slide`.
        images: [B, C, H, W], each in the upper left corner.
        sizes: rows and columns of each image, int64 [B, 2] on the CPU.
        side: see `slide`.
        stride: see `slide`.

    Returns:
        [B, classes, H, W], float32; zero outside of an image.
    """
    if (sizes == torch.tensor(images.shape[2:])).all():
        return slide(model, images, side, stride)
    found = torch.zeros(0)
    for size in sizes.unique(dim=0):
        height, width = size.tolist()
        alike = (sizes == size).all(1).nonzero().flatten().to(images.device)
        logits = slide(model, images[alike, :, :height, :width], side, stride)
        if not found.numel():
            found = torch.zeros(len(images), logits.shape[1], *images.shape[2:], device=images.device)
        found[alike, :, :height, :width] = logits
    return found

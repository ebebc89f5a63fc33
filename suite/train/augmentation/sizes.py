"""Which images are processed one at a time."""

from __future__ import annotations

from torch import Tensor

LARGE = 128 * 128  # pixels of an image


def is_large(images: Tensor) -> bool:
    """Whether images, [B, C, H, W], are processed one at a time, which keeps each in the CPU's caches.

    For smaller images, a call for each takes longer than the work itself. On a GPU, each call takes a kernel's launch.
    """
    return images.device.type == "cpu" and images.shape[2] * images.shape[3] >= LARGE

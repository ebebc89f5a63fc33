"""Two ways to resize an opened image."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image


def within(image: Image.Image, height: int, width: int, resample: Image.Resampling) -> Image.Image:
    """The image, resized so that it just fits into so many rows and columns. Its proportions stay."""
    scale = min(height / image.height, width / image.width)
    size = max(1, min(width, round(image.width * scale))), max(1, min(height, round(image.height * scale)))
    return image if size == image.size else image.resize(size, resample)


def resized_by_torch(pixels: npt.NDArray[np.uint8], image_size: int, mode: str) -> npt.NDArray[np.uint8]:
    """The image resized to a square by torch, which is faster than Pillow; some values differ from Pillow's by 1 or 2.

    Args:
        pixels: uint8 [height, width, channels], writable.
        image_size: pixels on each side of the result.
        mode: torch's name of the interpolation.

    Returns:
        uint8 [image_size, image_size, channels].
    """
    import torch  # takes seconds, which processes that prepare data don't need to spend
    from torch.nn.functional import interpolate

    batch, size = torch.from_numpy(pixels).permute(2, 0, 1)[None], (image_size, image_size)
    found: npt.NDArray[np.uint8] = interpolate(batch, size, mode=mode, antialias=True)[0].permute(1, 2, 0).numpy()
    return found

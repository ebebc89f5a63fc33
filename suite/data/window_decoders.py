"""Readers of a window of an image file: by Pillow, or faster by torchvision with values that may differ by 1 or 2."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import interpolate

from suite.data.decode import Window, check_area, decode_window, open_image, readable

_Decoder = Callable[[bytes, Path, int, int, Callable[[int, int], Window], bool], npt.NDArray[np.uint8]]

# Pillow's mode of a JPEG file, and the data set's channels, that torchvision decodes to the pixels that Pillow gives.
_ALIKE = {("RGB", 3): "RGB", ("L", 1): "GRAY"}


def decode_window_by_torchvision(
    data: bytes, path: Path, channels: int, image_size: int, window: Callable[[int, int], Window], bicubic: bool
) -> npt.NDArray[np.uint8]:
    """Like `decode_window`, but torchvision decodes JPEG files, and torch resizes. Pillow reads all other files.

    The decoded pixels are the same. Resized ones may differ by 1 or 2, because torch rounds the weights to 16 bits.

    Args:
        data: the file's bytes.
        path: the file's path, for error messages.
        channels: 1 for grey, 3 for RGB.
        image_size: pixels on each side of the result.
        window: a function from the image's height and width to the window's top, left, height and width.
        bicubic: True for bicubic interpolation, False for bilinear.

    Raises:
        InputError: the file is damaged or has too many pixels.
    """
    from torchvision.io import ImageReadMode, decode_jpeg  # takes seconds

    with readable(path):
        with open_image(io.BytesIO(data)) as image:  # reads only the header
            check_area(image, path)
            mode = _ALIKE.get((image.mode, channels)) if image.format == "JPEG" else None
        if mode is None:
            return decode_window(data, path, channels, image_size, window, bicubic)
        pixels = decode_jpeg(torch.frombuffer(bytearray(data), dtype=torch.uint8), ImageReadMode[mode])
        top, left, height, width = window(*pixels.shape[1:])
        chosen = pixels[None, :, top : top + height, left : left + width]
        kind, size = "bicubic" if bicubic else "bilinear", (image_size, image_size)
        found: npt.NDArray[np.uint8] = interpolate(chosen, size, mode=kind, antialias=True)[0].permute(1, 2, 0).numpy()
        return found


WINDOW_DECODERS: dict[str, _Decoder] = {"pillow": decode_window, "torchvision": decode_window_by_torchvision}

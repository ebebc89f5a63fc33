"""Decoding windows of image files, as random crops are. A file is decoded once for all windows that are cut from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from suite.data.decode import MOST_AREA, converted, loaded
from suite.data.jpeg import rgb_pixels
from suite.data.resizing import resized_by_torch

Pixels = npt.NDArray[np.uint8]
Place = tuple[int, int, int, int]  # top, left, height, width


class Window(NamedTuple):
    """A window of an image whose size isn't known yet.

    Attributes:
        place: a function from the image's height and width to the window's top, left, height and width.
        bicubic: True for bicubic interpolation, False for bilinear.
    """

    place: Callable[[int, int], Place]
    bicubic: bool


def decode_windows(
    data: bytes,
    path: Path,
    channels: int,
    image_size: int,
    windows: Sequence[Window],
    *,
    by_torch: bool = False,
) -> list[Pixels]:
    """Decode windows of an image and resize each to uint8 [image_size, image_size, channels].

    Args:
        data: the file's bytes.
        path: the file's path, for error messages.
        channels: 1 for grey, 3 for RGB.
        image_size: pixels on each side of the results.
        windows: the windows; the results have their order.
        by_torch: let torch resize the windows instead of Pillow. It takes a third of the time. Some values differ by 1
            or 2, because torch rounds the weights to 16 bits.

    Raises:
        InputError: the file is damaged or has too many pixels.
    """
    resized = _resized_by_torch if by_torch else _resized_by_pillow
    cuts = _cut(data, path, channels, [window.place for window in windows])
    return [resized(pixels, image_size, window.bicubic) for pixels, window in zip(cuts, windows, strict=True)]


def _cut(data: bytes, path: Path, channels: int, places: Sequence[Callable[[int, int], Place]]) -> list[Pixels]:
    """Decode windows of an image to uint8 [height, width, channels] each."""
    pixels = rgb_pixels(data, MOST_AREA) if channels == 3 else None
    cuts = []
    if pixels is not None:
        for place in places:
            top, left, height, width = place(*pixels.shape[:2])
            cuts.append(pixels[top : top + height, left : left + width])
        return cuts
    with loaded(data, path) as opened:
        for place in places:
            top, left, height, width = place(opened.height, opened.width)
            image = converted(opened.crop((left, top, left + width, top + height)), channels)
            cuts.append(np.array(image, dtype=np.uint8).reshape(height, width, channels))
    return cuts


def _resized_by_torch(pixels: Pixels, image_size: int, bicubic: bool) -> Pixels:
    return resized_by_torch(pixels, image_size, "bicubic" if bicubic else "bilinear")


def _resized_by_pillow(pixels: Pixels, image_size: int, bicubic: bool) -> Pixels:
    channels = pixels.shape[2]
    image = Image.fromarray(pixels if channels == 3 else pixels[:, :, 0])
    image = image.resize((image_size, image_size), Image.Resampling.BICUBIC if bicubic else Image.Resampling.BILINEAR)
    return np.asarray(image, dtype=np.uint8).reshape(image_size, image_size, channels)

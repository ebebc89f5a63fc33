"""Image files to uint8 arrays. The only place that decodes an image."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from suite.errors import InputError

# torchvision's list, and what else Pillow reads and people store photographs in. Other files are ignored.
SUFFIXES = {".jpg", ".jpeg", ".png", ".ppm", ".pgm", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".jp2", ".avif"}

GREY_MODES = ("L", "1")
EIGHT_BIT_MODES = (*GREY_MODES, "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")

Window = tuple[int, int, int, int]  # top, left, height, width

T = TypeVar("T")
R = TypeVar("R")


def header(path: Path) -> tuple[str, int, int]:
    """Pillow's mode, width and height of an image file; only its header is read."""
    with _readable(path), Image.open(path) as image:
        mode, (width, height) = image.mode, image.size
    if mode not in EIGHT_BIT_MODES:
        raise InputError(
            "an image has pixels of another kind than 8-bit grey or colour",
            expected=f"one of Pillow's modes {', '.join(EIGHT_BIT_MODES)}",
            found=mode,
            where=str(path),
            fix="convert it to 8 bits, in the way that suits your data",
        )
    return mode, width, height


def read_file(path: Path) -> bytes:
    """The bytes of an image file."""
    with _readable(path):
        return path.read_bytes()


def decode(
    data: bytes, path: Path, channels: int, image_size: int, resized: int | None = None
) -> npt.NDArray[np.uint8]:
    """Decode the bytes of an image file to uint8 [image_size, image_size, channels].

    An image whose shorter side isn't `resized` pixels (by default the image size) is resized bicubically, so that it
    is; then it is cropped at the centre. Orientation tags are not applied, as in torchvision's ImageFolder.
    """
    side = image_size if resized is None else resized
    with _opened(data, path, channels) as image:
        width, height = image.size
        if min(width, height) != side:
            scale = side / min(width, height)
            width, height = max(side, round(width * scale)), max(side, round(height * scale))
            image = image.resize((width, height), Image.Resampling.BICUBIC)
        left, top = (width - image_size) // 2, (height - image_size) // 2
        image = image.crop((left, top, left + image_size, top + image_size))
    return np.asarray(image, dtype=np.uint8).reshape(image_size, image_size, channels)


def decode_window(
    data: bytes, path: Path, channels: int, image_size: int, window: Callable[[int, int], Window], bicubic: bool
) -> npt.NDArray[np.uint8]:
    """Decode a window of an image, resized to uint8 [image_size, image_size, channels].

    window: from the image's height and width, its top, left, height and width. bicubic: else bilinear.
    """
    with _opened(data, path, channels) as image:
        top, left, height, width = window(image.height, image.width)
        resample = Image.Resampling.BICUBIC if bicubic else Image.Resampling.BILINEAR
        image = image.crop((left, top, left + width, top + height)).resize((image_size, image_size), resample)
    return np.asarray(image, dtype=np.uint8).reshape(image_size, image_size, channels)


@contextmanager
def _opened(data: bytes, path: Path, channels: int) -> Iterator[Image.Image]:
    with _readable(path), Image.open(io.BytesIO(data)) as opened:
        image: Image.Image = opened
        image.load()
        if "transparency" in image.info:
            image = image.convert("RGBA")  # Pillow warns where a transparent palette goes straight to RGB
        yield image.convert("L" if channels == 1 else "RGB")


def in_parallel(function: Callable[[T], R], items: Iterable[T], chunk: int = 4096) -> Iterator[R]:
    """`map` with threads (Pillow and SHA-256 release Python's lock), in order, `chunk` results ahead at most."""
    remaining = iter(items)
    while part := list(islice(remaining, chunk)):
        yield from _threads().map(function, part)


class Background:
    """A function of each item, on the same threads as `in_parallel`, from now on."""

    def __init__(self, function: Callable[[T], None], items: Iterable[T]) -> None:
        self._calls = [_threads().submit(function, item) for item in items]

    def wait(self) -> None:
        """Come back when all is done. The first item that failed raises its error, and the rest is given up."""
        try:
            for call in self._calls:
                call.result()
        finally:
            self.cancel()

    def cancel(self) -> None:
        """Give up what hasn't begun, and come back when no thread is at it any more."""
        for call in self._calls:
            call.cancel()
        wait(self._calls)


def _workers() -> int:
    """As many as the CPUs that this process may use."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(16, usable)


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_workers(), thread_name_prefix="decode")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_threads.cache_clear)  # a forked process has none of its parent's threads


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turns whatever Pillow raises for a broken file into an error that names the file."""
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error and more
        raise InputError(
            "an image can't be read",
            expected="a whole image file",
            found=str(error) or type(error).__name__,
            where=str(path),
            fix="replace the file by a good copy, or remove it",
        ) from error

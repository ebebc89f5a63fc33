"""Decoding image files to uint8 arrays. Only this module and `windows` decode images."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from suite.data.names import shown
from suite.data.regular_files import PERMISSIONS, open_regular, read_regular
from suite.data.resizing import within
from suite.errors import InputError
from suite.store.disguises import START, foreign, not_sent

# torchvision's list, plus other photograph formats that Pillow reads. Other files are not read.
SUFFIXES = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".ppm", ".pgm", ".bmp"),
    *(".tif", ".tiff", ".webp", ".gif", ".jp2", ".avif"),
}
# Pillow detects the format from the content, not from the name. Other decoders are excluded: EPS would run Ghostscript.
_FORMATS = ("JPEG", "PNG", "PPM", "BMP", "TIFF", "WEBP", "GIF", "JPEG2000", "AVIF")

GREY_MODES = ("L", "1")
MASK_MODES = ("L", "P")
EIGHT_BIT_MODES = (*GREY_MODES, "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")

MOST_BYTES = 2**29  # size of an image file
MOST_AREA = 89_478_485  # pixels of an image, as read and as resized; above this, Pillow warns of a decompression bomb

_ORIENTATION = 0x0112  # the EXIF tag
_REPLACE = "replace the file by a good copy, or remove it"

warnings.simplefilter("error", Image.DecompressionBombWarning)  # refused with our own message
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")  # about damaged metadata, which isn't used


def header(path: Path, image_size: int | None = None) -> tuple[str, int, int]:
    """Pillow's mode, width and height of an image file. Only the header is read.

    Args:
        path: the image file.
        image_size: the length in pixels to which the shorter side will be resized; None for no resizing.

    Raises:
        InputError: the file isn't an image, its pixels don't have 8 bits per channel, or it has too many pixels.
    """
    with _readable(path), open_regular(path, MOST_BYTES) as file, open_image(file) as image:
        mode, (width, height) = image.mode, image.size
    if mode not in EIGHT_BIT_MODES:
        raise InputError(
            "an image has pixels of another kind than 8-bit grey or colour",
            expected=f"one of Pillow's modes {', '.join(EIGHT_BIT_MODES)}",
            found=mode,
            where=shown(path),
            fix="convert it to 8 bits, in the way that suits your data",
        )
    _resized_size(width, height, image_size or min(width, height), path)
    return mode, width, height


def open_image(file: Path | BinaryIO) -> Image.Image:
    """Open an image file with Pillow. The format is detected from the content; only the formats above are accepted."""
    image = Image.open(file, formats=_formats())
    if 0 in image.size:
        raise OSError("an image without pixels")
    return image


def read_file(path: Path) -> bytes:
    """The bytes of an image file.

    Raises:
        InputError: the file doesn't exist, isn't a regular file, or is larger than `MOST_BYTES`.
    """
    with _readable(path):
        return read_regular(path, MOST_BYTES)


def decode(
    data: bytes, path: Path, channels: int, image_size: int, resized: int | None = None
) -> npt.NDArray[np.uint8]:
    """Decode the bytes of an image file to uint8 [image_size, image_size, channels].

    The image is resized bicubically so that its shorter side has `resized` pixels, then cropped at the centre. As in
    torchvision's ImageFolder, EXIF orientation is not applied.

    Args:
        data: the file's bytes.
        path: the file's path, for error messages.
        channels: 1 for grey, 3 for RGB.
        image_size: pixels on each side of the result.
        resized: pixels on the shorter side before cropping; None for `image_size`.

    Raises:
        InputError: the file is damaged or has too many pixels.
    """
    with loaded(data, path) as image:
        return _fitted(image, path, channels, image_size, image_size if resized is None else resized)


def decode_oriented(data: bytes, path: Path, channels: int, image_size: int) -> tuple[npt.NDArray[np.uint8], bool]:
    """Like `decode`, but also return whether an EXIF orientation tag says to rotate or mirror the image.

    Args:
        data: the file's bytes.
        path: the file's path, for error messages.
        channels: 1 for grey, 3 for RGB.
        image_size: pixels on each side of the result.
    """
    with loaded(data, path) as image:
        return _fitted(image, path, channels, image_size, image_size), _has_orientation(image)


def decode_within(
    data: bytes, path: Path, channels: int, height: int, width: int
) -> tuple[npt.NDArray[np.uint8], bool]:
    """Decode the bytes of an image file, resized bicubically to the largest size within height × width.

    The image keeps its proportions.

    Args:
        data: the file's bytes.
        path: the file's path, for error messages.
        channels: 1 for grey, 3 for RGB.
        height: the most rows.
        width: the most columns.

    Returns:
        uint8 [rows, columns, channels], and whether an EXIF orientation tag says to rotate or mirror the image.

    Raises:
        InputError: the file is damaged or has too many pixels.
    """
    with loaded(data, path) as image:
        fitted = within(converted(image, channels), height, width, Image.Resampling.BICUBIC)
        pixels = np.asarray(fitted, dtype=np.uint8).reshape(fitted.height, fitted.width, channels)
        return pixels, _has_orientation(image)


def decode_mask_within(
    data: bytes, path: Path, height: int, width: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Decode the bytes of a mask as `decode_within` does with its image, but to the nearest pixel.

    Args:
        data: the file's bytes.
        path: the file's path, for error messages.
        height: the most rows.
        width: the most columns.

    Returns:
        The whole mask, and the fitted one, uint8 [rows, columns].

    Raises:
        InputError: the file is damaged, has too many pixels, or has colours instead of values.
    """
    with _loaded_mask(data, path) as image:
        fitted = within(image, height, width, Image.Resampling.NEAREST)
        return np.array(image, dtype=np.uint8), np.array(fitted, dtype=np.uint8)


def decode_mask(data: bytes, path: Path, image_size: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Decode the bytes of a mask: an image whose pixels are values of classes, grey or indices of a palette.

    The mask is resized and cropped as `decode` does with its image, but to the nearest pixel.

    Args:
        data: the file's bytes.
        path: the file's path, for error messages.
        image_size: pixels on each side of the result.

    Returns:
        The whole mask, uint8 [height, width], and the fitted one, uint8 [image_size, image_size].

    Raises:
        InputError: the file is damaged, has too many pixels, or has colours instead of values.
    """
    with _loaded_mask(data, path) as image:
        fitted = _cropped(image, path, image_size, image_size, Image.Resampling.NEAREST)
        return np.array(image, dtype=np.uint8), np.array(fitted, dtype=np.uint8)


def _fitted(image: Image.Image, path: Path, channels: int, image_size: int, side: int) -> npt.NDArray[np.uint8]:
    image = _cropped(converted(image, channels), path, image_size, side, Image.Resampling.BICUBIC)
    return np.asarray(image, dtype=np.uint8).reshape(image_size, image_size, channels)


def _cropped(image: Image.Image, path: Path, image_size: int, side: int, resample: Image.Resampling) -> Image.Image:
    """The centre of an image, image_size pixels on each side, after its shorter side is resized to `side` pixels."""
    width, height = _resized_size(*image.size, side, path)
    if (width, height) != image.size:
        image = image.resize((width, height), resample)
    left, top = (width - image_size) // 2, (height - image_size) // 2
    return image.crop((left, top, left + image_size, top + image_size))


def _resized_size(width: int, height: int, side: int, path: Path) -> tuple[int, int]:
    """Width and height after resizing the shorter side to `side`. Raises `InputError` if these are too many pixels."""
    before = width, height
    if min(width, height) != side:
        scale = side / min(width, height)
        width, height = max(side, round(width * scale)), max(side, round(height * scale))
    if width * height > MOST_AREA:
        resized = f", {width}x{height} with its shorter side resized to {side}" if (width, height) != before else ""
        raise InputError(
            "an image has too many pixels",
            expected=f"at most {MOST_AREA:,} pixels, as it is and as it is resized",
            found=f"{before[0]}x{before[1]} pixels{resized}",
            where=shown(path),
            fix="make it smaller, or crop it, before it is prepared; or remove it",
        )
    return width, height


def converted(image: Image.Image, channels: int) -> Image.Image:
    """The image in grey (1 channel) or RGB (3 channels)."""
    if "transparency" in image.info:
        image = image.convert("RGBA")  # converting a transparent palette directly to RGB gives a warning
    mode = "L" if channels == 1 else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _has_orientation(image: Image.Image) -> bool:
    try:
        return bool(image.getexif().get(_ORIENTATION, 1) != 1)
    except Exception:  # Pillow can raise anything for a damaged tag; the pixels are unaffected
        return False


@contextmanager
def loaded(data: bytes, path: Path) -> Iterator[Image.Image]:
    """Decode the bytes of an image file to a Pillow image, in the file's own mode.

    Args:
        data: the file's bytes.
        path: the file's path, for error messages.

    Raises:
        InputError: the file is damaged or has too many pixels. Errors that Pillow raises
            within the context are reported in the same way.
    """
    with _readable(path), open_image(io.BytesIO(data)) as image:
        _resized_size(*image.size, min(image.size), path)
        image.load()
        yield image


@contextmanager
def _loaded_mask(data: bytes, path: Path) -> Iterator[Image.Image]:
    with loaded(data, path) as image:
        if image.mode not in MASK_MODES:
            raise InputError(
                "a mask has colours instead of the values of classes"
                if image.mode in EIGHT_BIT_MODES
                else "a mask has values of more than 8 bits",
                expected=f"8-bit grey or a palette (Pillow's modes {' and '.join(MASK_MODES)})",
                found=f"mode {image.mode}",
                where=shown(path),
                fix="save it with one value per pixel: the number of the class",
            )
        yield image


@cache
def _formats() -> list[str]:
    """The accepted formats that this build of Pillow supports."""
    Image.init()
    return [name for name in _FORMATS if name in Image.OPEN]


def _disguise(path: Path) -> tuple[str, str] | None:
    """What a file that isn't an image is, and what to do about it; None if its kind is unknown."""
    try:
        with open_regular(path, MOST_BYTES) as file:
            start = file.read(START)
    except OSError:
        return None
    name = foreign(start)
    return not_sent(start, empty=_REPLACE) or (
        None if name is None else (name, "convert it to one of these formats, or remove it")
    )


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Convert any error that Pillow raises for a damaged file to an `InputError` that names the file."""
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error and more
        expected = f"a whole image file, of the format {', '.join(_FORMATS[:-1])} or {_FORMATS[-1]}"
        found, fix = str(error) or type(error).__name__, _REPLACE
        if isinstance(error, UnidentifiedImageError):
            found, fix = _disguise(path) or ("no image, or one of another format", fix)
        elif isinstance(error, Image.DecompressionBombWarning | Image.DecompressionBombError):
            found = f"an image of more than {MOST_AREA:,} pixels"
            fix = "make it smaller, or crop it, before it is prepared; or remove it"
        elif isinstance(error, OSError) and error.strerror:
            found = error.strerror
            if isinstance(error, PermissionError):
                expected, fix = "a file that may be read", PERMISSIONS
            elif isinstance(error, FileNotFoundError):  # it was there when its folder was listed
                fix = "put it back, or run the command again without it"
        raise InputError(
            "an image can't be read",
            expected=expected,
            found=found,
            where=shown(path),
            fix=fix,
        ) from error

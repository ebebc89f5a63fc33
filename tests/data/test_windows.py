"""Windows of image files that torch resizes, against Pillow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from suite.data.windows import Pixels, Window, decode_windows
from suite.errors import InputError
from tests.pictures import encoded, photographs, to_pillow

SIZE = 24


def photograph() -> Image.Image:
    """One photograph of 90x60 pixels."""
    return to_pillow(photographs(6, 60, 90))[0]


def place(height: int, width: int) -> tuple[int, int, int, int]:
    return 5, 11, height - 20, width - 17


def corner(height: int, width: int) -> tuple[int, int, int, int]:
    return 0, 0, height // 3, width // 2


def window(data: bytes, path: Path, channels: int = 3, bicubic: bool = True, by_torch: bool = True) -> Pixels:
    (pixels,) = decode_windows(data, path, channels, SIZE, [Window(place, bicubic)], by_torch=by_torch)
    return pixels


def both(data: bytes, channels: int, bicubic: bool = True) -> list[npt.NDArray[np.int64]]:
    return [window(data, Path("a.jpg"), channels, bicubic, by_torch).astype(int) for by_torch in (False, True)]


@pytest.mark.parametrize("bicubic", [True, False])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"quality": 30}])
@pytest.mark.parametrize(("mode", "channels"), [("RGB", 3), ("L", 1)])
def test_jpeg_files_give_nearly_pillows_pixels(
    mode: str, channels: int, options: dict[str, Any], bicubic: bool
) -> None:
    expected, found = both(encoded(photograph().convert(mode), **options), channels, bicubic)
    assert found.shape == (SIZE, SIZE, channels)
    assert np.abs(found - expected).max() <= 2
    assert (found != expected).mean() < 0.05
    assert expected.std() > 10


@pytest.mark.parametrize(
    ("mode", "kind", "channels"),
    [("CMYK", "JPEG", 3), ("L", "JPEG", 3), ("RGB", "JPEG", 1), ("P", "PNG", 3), ("LA", "PNG", 3), ("1", "BMP", 1)],
)
def test_files_of_other_modes_are_converted(mode: str, kind: str, channels: int) -> None:
    expected, found = both(encoded(photograph().convert(mode), kind), channels)
    assert found.shape == (SIZE, SIZE, channels)
    assert np.abs(found - expected).max() <= 2


def test_an_orientation_is_not_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    plain, turned = (both(data, 3)[1] for data in (encoded(photograph()), encoded(photograph(), exif=exif)))
    np.testing.assert_array_equal(plain, turned)


@pytest.mark.parametrize("kept", [0, 100, 700, -200])
def test_a_damaged_file_is_named(kept: int) -> None:
    data = encoded(photograph())[:kept]
    with pytest.raises(InputError, match="an image can't be read") as caught:
        window(data, Path("broken.jpg"))
    (problem,) = caught.value.problems
    assert problem.where.endswith("broken.jpg")
    assert "\n" not in problem.found


def test_what_is_no_image_is_named(tmp_path: Path) -> None:
    path = tmp_path / "text.jpg"
    path.write_text("no image")
    with pytest.raises(InputError, match="an image can't be read"):
        window(path.read_bytes(), path)


@pytest.mark.parametrize("by_torch", [False, True])
@pytest.mark.parametrize(("kind", "channels"), [("JPEG", 3), ("JPEG", 1), ("PNG", 3)])
def test_several_windows_of_one_file_are_those_that_it_gives_one_by_one(
    kind: str, channels: int, by_torch: bool
) -> None:
    data, path = encoded(photograph(), kind), Path("a.jpg")
    windows = [Window(place, True), Window(corner, False), Window(place, False)]
    found = decode_windows(data, path, channels, SIZE, windows, by_torch=by_torch)
    for image, one in zip(found, windows, strict=True):
        (alone,) = decode_windows(data, path, channels, SIZE, [one], by_torch=by_torch)
        np.testing.assert_array_equal(image, alone)
    assert len({image.tobytes() for image in found}) == 3
    assert decode_windows(data, path, channels, SIZE, [], by_torch=by_torch) == []

"""Windows of image files that torch resizes, against Pillow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from suite.data.decode import decode_window
from suite.errors import InputError
from tests.pictures import encoded, photographs, to_pillow

SIZE = 24


def photograph() -> Image.Image:
    """One photograph of 90x60 pixels."""
    return to_pillow(photographs(6, 60, 90))[0]


def window(height: int, width: int) -> tuple[int, int, int, int]:
    return 5, 11, height - 20, width - 17


def both(data: bytes, channels: int, bicubic: bool = True) -> list[npt.NDArray[np.int64]]:
    return [
        decode_window(data, Path("a.jpg"), channels, SIZE, window, bicubic, by_torch=by_torch).astype(int)
        for by_torch in (False, True)
    ]


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
        decode_window(data, Path("broken.jpg"), 3, SIZE, window, bicubic=True, by_torch=True)
    (problem,) = caught.value.problems
    assert problem.where.endswith("broken.jpg")
    assert "\n" not in problem.found


def test_what_is_no_image_is_named(tmp_path: Path) -> None:
    path = tmp_path / "text.jpg"
    path.write_text("no image")
    with pytest.raises(InputError, match="an image can't be read"):
        decode_window(path.read_bytes(), path, 3, SIZE, window, bicubic=True, by_torch=True)

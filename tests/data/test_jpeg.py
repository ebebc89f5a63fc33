"""JPEG files by simplejpeg, against Pillow."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from suite.data.jpeg import rgb_pixels
from tests.pictures import encoded

MOST = 10**6


def by_pillow(data: bytes) -> npt.NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def noise(height: int, width: int, seed: int = 0) -> Image.Image:
    """Colours that vary smoothly, so that most codes of a JPEG file occur."""
    drawn = np.random.default_rng(seed).integers(0, 256, (height // 4 + 1, width // 4 + 1, 3), dtype=np.uint8)
    return Image.fromarray(drawn).resize((width, height), Image.Resampling.BICUBIC)


@given(
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    subsampling=st.sampled_from(["4:4:4", "4:2:2", "4:2:0", "4:1:1"]),
    quality=st.integers(1, 100),
    progressive=st.booleans(),
    restart=st.integers(0, 3),
    seed=st.integers(0, 1000),
)
def test_pixels_are_pillows(
    height: int, width: int, subsampling: str, quality: int, progressive: bool, restart: int, seed: int
) -> None:
    image = noise(height, width, seed)
    data = encoded(
        image, subsampling=subsampling, quality=quality, progressive=progressive, restart_marker_blocks=restart
    )
    found = rgb_pixels(data, MOST)
    assert found is not None
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, by_pillow(data))


def test_a_file_that_stores_rgb_gives_pillows_pixels() -> None:
    data = encoded(noise(40, 50), keep_rgb=True)
    found = rgb_pixels(data, MOST)
    assert found is not None
    np.testing.assert_array_equal(found, by_pillow(data))


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_other_colours_are_left_to_pillow(mode: str) -> None:
    assert rgb_pixels(encoded(noise(40, 50).convert(mode)), MOST) is None


@pytest.mark.parametrize("data", [b"", b"no image", encoded(noise(40, 50))[:-40], encoded(noise(40, 50))[:300]])
def test_what_is_damaged_or_no_jpeg_is_left_to_pillow(data: bytes) -> None:
    assert rgb_pixels(data, MOST) is None


def test_a_file_whose_codes_are_damaged_is_left_to_pillow() -> None:
    data = bytearray(encoded(noise(64, 64)))
    refused = 0
    for place in range(650, len(data) - 2, 61):
        damaged = bytes(data[:place]) + bytes([data[place] ^ 0x55]) + bytes(data[place + 1 :])
        found = rgb_pixels(damaged, MOST)
        refused += found is None
        if found is not None:  # the damage gave other valid codes
            np.testing.assert_array_equal(found, by_pillow(damaged))
    assert refused > 0


def test_a_file_of_too_many_pixels_is_left_to_pillow() -> None:
    data = encoded(noise(40, 50))
    assert rgb_pixels(data, 40 * 50) is not None
    assert rgb_pixels(data, 40 * 50 - 1) is None

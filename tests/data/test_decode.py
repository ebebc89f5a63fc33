"""Decoding: kinds of images, sizes, and broken files."""

from __future__ import annotations

import io
import os
import time

import numpy as np
import pytest
from PIL import Image

from suite.data.decode import decode, header, read_file
from suite.data.parallel import Background, in_parallel
from suite.errors import InputError
from tests.data.drawings import drawing


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP"])
def test_lossless_files_keep_every_pixel(kind, tmp_path):
    image = drawing("disc", 3)
    data = encoded(image, kind, **({"lossless": True} if kind == "WEBP" else {}))
    np.testing.assert_array_equal(decode(data, tmp_path, 3, 12), np.asarray(image))


def test_grey_is_kept_grey_or_spread_over_colours(tmp_path):
    image = drawing("square", 1, mode="L")
    pixels = np.asarray(image)[..., None]
    np.testing.assert_array_equal(decode(encoded(image), tmp_path, 1, 12), pixels)
    np.testing.assert_array_equal(decode(encoded(image), tmp_path, 3, 12), pixels.repeat(3, axis=2))


@pytest.mark.parametrize("mode", ["RGBA", "P", "LA", "CMYK", "1"])
def test_other_modes_become_colour(mode, tmp_path):
    image = drawing("cross", 2, mode=mode)
    found = decode(encoded(image, "TIFF" if mode == "CMYK" else "PNG"), tmp_path, 3, 12)
    np.testing.assert_array_equal(found, np.asarray(image.convert("RGB")))


def test_a_transparent_palette_is_read_without_a_warning(tmp_path):
    image = drawing("disc", 5, mode="P")
    found = decode(encoded(image, transparency=bytes([0, 128, 255])), tmp_path, 3, 12)
    np.testing.assert_array_equal(found, np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("size", [(40, 20), (20, 40), (21, 20), (20, 20), (8, 7)])
def test_the_shorter_side_fits_and_the_centre_stays(size, tmp_path):
    width, height = size
    ramp = np.zeros((height, width, 3), dtype=np.uint8)
    ramp[..., 0] = np.linspace(0, 240, width)[None]
    ramp[..., 1] = np.linspace(0, 240, height)[:, None]
    found = decode(encoded(Image.fromarray(ramp)), tmp_path, 3, 10).astype(int)
    assert found.shape == (10, 10, 3)
    for channel, axis in ((0, 1), (1, 0)):  # a ramp stays a ramp, with its middle in the middle
        profile = found[..., channel].mean(axis=1 - axis)
        assert np.all(np.diff(profile) > 0)
        assert profile.mean() == pytest.approx(120, abs=13)  # half a pixel of ten is 12
    shorter = 0 if width < height else 1
    assert np.ptp(found[..., shorter]) > 180  # the shorter side is not cropped


def test_sixteen_bits_are_refused(tmp_path):
    path = tmp_path / "deep.png"
    Image.fromarray(np.arange(64, dtype=np.uint16).reshape(8, 8) * 1000).save(path)
    with pytest.raises(InputError) as caught:
        header(path)
    assert caught.value.problems[0].found.startswith("I;16")
    assert caught.value.problems[0].where == str(path)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "BMP"])
@pytest.mark.parametrize("kept", [0.0, 0.02, 0.5, 0.8])
def test_a_truncated_file_is_named(kind, kept, tmp_path):
    data = encoded(drawing("disc", 7, size=(64, 64)), kind)
    path = tmp_path / "broken.img"
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(InputError) as caught:
        decode(read_file(path), path, 3, 64)
    problem = caught.value.problems[0]
    assert problem.where == str(path)
    assert problem.expected
    assert problem.found
    assert problem.fix


def test_a_missing_file_is_named(tmp_path):
    for read in (read_file, header):
        with pytest.raises(InputError, match=r"absent\.png"):
            read(tmp_path / "absent.png")


def test_threads_keep_the_order_and_pass_errors_on():
    assert list(in_parallel(lambda x: x * x, range(1000), ahead=7)) == [x * x for x in range(1000)]
    with pytest.raises(ZeroDivisionError):
        list(in_parallel(lambda x: 1 // x, [1, 0]))


def test_what_runs_in_the_background_is_waited_for():
    seen = []
    background = Background(seen.append, range(100))
    background.wait()
    assert sorted(seen) == list(range(100))


def test_an_error_in_the_background_gives_up_the_rest():
    seen = []

    def read(item):
        seen.append(item)
        time.sleep(0.01)
        if item == 1:
            raise InputError("an image can't be read", expected="one", found="none", where="here", fix="none")

    background = Background(read, range(1000))
    with pytest.raises(InputError, match="can't be read"):
        background.wait()
    count = len(seen)
    assert count < 500
    time.sleep(0.05)
    assert len(seen) == count


def test_what_is_given_up_has_ended_when_that_returns():
    begun, ended = [], []

    def read(item):
        begun.append(item)
        time.sleep(0.01)
        ended.append(item)

    background = Background(read, range(1000))
    background.cancel()
    assert sorted(begun) == sorted(ended)
    assert len(begun) < 500
    time.sleep(0.05)
    assert sorted(begun) == sorted(ended)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system can't fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_decodes_too():
    assert list(in_parallel(abs, [-1, -2])) == [1, 2]  # starts the threads
    child = os.fork()
    if child == 0:
        os._exit(0 if list(in_parallel(abs, [-3])) == [3] else 1)
    assert os.waitpid(child, 0)[1] == 0

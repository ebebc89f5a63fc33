"""Decoding: kinds of images, sizes, and broken files."""

from __future__ import annotations

import errno
import os
import struct
import subprocess
import zlib

import numpy as np
import pytest
from PIL import Image

from suite.data.decode import MOST_BYTES, decode, decode_oriented, header, read_file
from suite.errors import InputError
from tests.data.drawings import drawing
from tests.pictures import encoded


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP"])
def test_lossless_files_keep_every_pixel(kind, tmp_path):
    image = drawing("disc", 3)
    data = encoded(image, kind, **({"lossless": True} if kind == "WEBP" else {}))
    np.testing.assert_array_equal(decode(data, tmp_path, 3, 12), np.asarray(image))


def test_grey_is_kept_grey_or_spread_over_colours(tmp_path):
    image = drawing("square", 1, mode="L")
    pixels = np.asarray(image)[..., None]
    np.testing.assert_array_equal(decode(encoded(image, "PNG"), tmp_path, 1, 12), pixels)
    np.testing.assert_array_equal(decode(encoded(image, "PNG"), tmp_path, 3, 12), pixels.repeat(3, axis=2))


@pytest.mark.parametrize("mode", ["RGBA", "P", "LA", "CMYK", "1"])
def test_other_modes_become_colour(mode, tmp_path):
    image = drawing("cross", 2, mode=mode)
    found = decode(encoded(image, "TIFF" if mode == "CMYK" else "PNG"), tmp_path, 3, 12)
    np.testing.assert_array_equal(found, np.asarray(image.convert("RGB")))


def test_a_transparent_palette_is_read_without_a_warning(tmp_path):
    image = drawing("disc", 5, mode="P")
    found = decode(encoded(image, "PNG", transparency=bytes([0, 128, 255])), tmp_path, 3, 12)
    np.testing.assert_array_equal(found, np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("size", [(40, 20), (20, 40), (21, 20), (20, 20), (8, 7)])
def test_the_shorter_side_fits_and_the_centre_stays(size, tmp_path):
    width, height = size
    ramp = np.zeros((height, width, 3), dtype=np.uint8)
    ramp[..., 0] = np.linspace(0, 240, width)[None]
    ramp[..., 1] = np.linspace(0, 240, height)[:, None]
    found = decode(encoded(Image.fromarray(ramp), "PNG"), tmp_path, 3, 10).astype(int)
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


def told(path):
    """What is said of a file when its header is read, and when it is decoded."""
    problems = []
    for read in (header, lambda path: decode(read_file(path), path, 3, 12)):
        with pytest.raises(InputError) as caught:
            read(path)
        problems += caught.value.problems
    assert {problem.where for problem in problems} == {str(path)}
    return problems


def test_a_postscript_file_by_another_name_starts_no_interpreter(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    drawing("disc", 1).save(path, "EPS")
    monkeypatch.setattr(subprocess, "Popen", None)  # Pillow would start Ghostscript with it
    monkeypatch.setattr(subprocess, "check_call", None)
    for problem in told(path):
        assert problem.found == "a PostScript document"
        assert "PNG" in problem.expected


@pytest.mark.parametrize(
    ("content", "found", "fix"),
    [
        (b"", "an empty file", "replace the file by a good copy, or remove it"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 34\n",
            "a Git LFS pointer for",
            "git lfs pull",
        ),
        (b"<!DOCTYPE html><html>", "a web page", "browser"),
        (b"%PDF-1.4" + bytes(99), "a PDF document", "convert it"),
        (b"Not Found", "no image, or one of another format", "replace"),
    ],
)
def test_what_is_no_image_is_named(content, found, fix, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    for problem in told(path):
        assert problem.found.startswith(found)
        assert fix in problem.fix


def test_a_file_that_may_not_be_read_needs_other_permissions(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    drawing("disc", 1).save(path)

    def denied(file, *_):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(file))

    monkeypatch.setattr(os, "open", denied)  # root may read what `chmod 000` closes
    for problem in told(path):
        assert problem.found == "Permission denied"
        assert problem.expected == "a file that may be read"
        assert problem.fix == "change the permissions of this file, or of the folders above it"


def test_a_file_that_went_while_a_folder_was_read_is_not_to_be_removed(tmp_path):
    for problem in told(tmp_path / "a.png"):
        assert problem.found == "No such file or directory"
        assert problem.fix == "put it back, or run the command again without it"


@pytest.mark.parametrize("kind", ["ICO", "PCX", "TGA", "SGI"])
def test_other_formats_that_pillow_knows_are_not_read(kind, tmp_path):
    drawing("disc", 1).save(tmp_path / "a.png", kind)
    assert len(told(tmp_path / "a.png")) == 2


def png_of_size(path, width, height):
    """A whole PNG file of a grey image, a few kilobytes long."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    rows = zlib.compressobj()
    packed = b"".join(rows.compress(bytes(width + 1)) for _ in range(height)) + rows.flush()
    parts = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)), chunk(b"IDAT", packed)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b""))
    return path


@pytest.mark.parametrize("size", [(9500, 9500), (14000, 14000), (89_478_486, 1)])
def test_an_image_of_too_many_pixels(size, tmp_path):
    path = png_of_size(tmp_path / "a.png", *size)
    for problem in told(path):
        assert "pixels" in problem.found
        assert "smaller" in problem.fix


def test_an_image_that_resizing_would_make_too_large(tmp_path):
    path = png_of_size(tmp_path / "a.png", 1, 3_000_000)
    for read in (lambda: header(path, 224), lambda: decode(read_file(path), path, 3, 224)):
        with pytest.raises(InputError, match=r"found: +1x3000000 pixels, 224x672000000 with its shorter side resized"):
            read()
    assert decode(read_file(path), path, 1, 1).shape == (1, 1, 1)


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    path = tmp_path / "a.png"
    with path.open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    assert "536,870,913 bytes" in told(path)[0].found


@pytest.mark.timeout(20)
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    assert "no regular file" in told(tmp_path / "a.png")[0].found


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", [None, 1, 3, 6])
def test_orientations_are_found_and_not_applied(kind, orientation, tmp_path):
    image, exif = drawing("disc", 3, size=(16, 12)), Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    data = encoded(image, kind, exif=exif)
    pixels, found = decode_oriented(data, tmp_path, 3, 12)
    assert found == (orientation in (3, 6))
    np.testing.assert_array_equal(pixels, decode(encoded(image, kind), tmp_path, 3, 12))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_a_damaged_orientation_is_none(tmp_path):
    data = encoded(drawing("disc", 3), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert not decode_oriented(data, tmp_path, 3, 12)[1]

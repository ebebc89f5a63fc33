"""Corrupted copies on disk: made once, checked, and the same for every process."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from suite.data.arrays import Pixels
from suite.data.corruptions.making import corrupted, versions
from suite.data.corruptions.settings import Corruptions
from suite.data.corruptions.stored import CopiesOf
from suite.data.datasets import Dataset
from suite.errors import InputError
from tests.corrupted import darker, make_copies, prepare_pictures

FEW = Corruptions.model_validate({"kinds": ["fog"], "severities": [1, 2], "images": 6})


@pytest.fixture
def pictures(tmp_path: Path) -> Dataset:
    return prepare_pictures(tmp_path)


def read(places: Sequence[int]) -> Pixels:
    return np.full((len(places), 32, 32, 3), 200, np.uint8)


def test_copies_are_made_once_and_found_again(tmp_path: Path, pictures: Dataset) -> None:
    copies = make_copies(pictures, FEW, tmp_path)
    before = copies.file("fog", 1).stat().st_mtime_ns
    assert copies.bytes_of_all == sum(path.stat().st_size - 128 for path in copies.folder.glob("*.npy"))
    more = Corruptions.model_validate({**FEW.model_dump(), "severities": [1, 2, 3]})
    again = make_copies(pictures, more, tmp_path)
    assert (again.folder, again.missing()) == (copies.folder, [])
    assert copies.file("fog", 1).stat().st_mtime_ns == before
    assert again.checksum() != copies.checksum()
    assert again.open("fog", 3).shape == (6, 32, 32, 3)
    with pytest.raises(InputError, match="damaged"):  # nothing of another seed, or of other images
        CopiesOf(pictures, FEW.model_copy(update={"seed": 1}), 1.0, tmp_path).open("fog", 1)


def test_workers_that_start_together_make_each_copy_once(tmp_path: Path, pictures: Dataset) -> None:
    made: list[tuple[str, int]] = []

    def count(kind: str, severity: int, seed: int, images: Pixels, indices: Sequence[int]) -> Pixels:
        made.append((kind, severity))
        return darker(kind, severity, seed, images, indices)

    copies = CopiesOf(pictures, FEW, 1.0, tmp_path)
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(copies.make, read, range(6), count) for _ in range(4)]:
            done.result()
    assert made == [("fog", 1), ("fog", 2)]


@pytest.mark.parametrize("damage", ["bit", "cut", "gone", "meta", "shape"])
def test_a_damaged_file_is_refused(tmp_path: Path, pictures: Dataset, damage: str) -> None:
    copies = make_copies(pictures, FEW, tmp_path)
    path = copies.file("fog", 2)
    content = bytearray(path.read_bytes())
    if damage == "bit":
        content[200] ^= 1
    path.write_bytes(content[:300] if damage == "cut" else content)
    if damage == "gone":
        path.unlink()
    if damage == "meta":
        (copies.folder / "meta.json").write_text("{")
    if damage == "shape":
        np.save(path, np.zeros((6, 16, 16, 3), np.uint8))
    with pytest.raises(InputError, match="corrupted copies of test images are damaged on disk") as caught:
        copies.open("fog", 2)
    assert f"remove the folder {copies.folder}" in caught.value.problems[0].fix


def test_a_missing_package_is_told_before_anything_is_written(
    tmp_path: Path, pictures: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("suite.data.corruptions.making._MODULE", "no_such_package")
    copies = CopiesOf(pictures, FEW, 1.0, tmp_path)
    with pytest.raises(InputError, match="the package that corrupts images can't be used") as caught:
        copies.make(read, range(6))
    assert "pip install 'lape-suite[corruptions]'" in caught.value.problems[0].fix
    assert not copies.folder.exists()
    make_copies(pictures, FEW, tmp_path).make(read, range(6))  # nothing is missing: the package isn't needed


@pytest.mark.slow  # numba compiles
def test_the_package_gives_each_copy_its_own_draws() -> None:
    """An image's copy is the same in every subset of the images, and NumPy's global generator is left as it was."""
    pytest.importorskip("imagecorruptions", reason="the extra `corruptions` isn't installed")
    ramp = np.broadcast_to(np.arange(32, dtype=np.uint8)[:, None] * 8, (2, 32, 32, 3)).copy()
    state = np.random.get_state()[1].copy()  # type: ignore[union-attr]
    for kind in ("gaussian_noise", "shot_noise", "impulse_noise", "glass_blur", "jpeg_compression"):
        found = corrupted(kind, 3, 0, ramp, [0, 7])
        assert np.array_equal(found, corrupted(kind, 3, 0, ramp, [0, 7])), kind
        assert np.array_equal(found[1:], corrupted(kind, 3, 0, ramp[1:], [7])), kind  # whatever else is corrupted
        assert not np.array_equal(found, ramp)
        assert np.array_equal(found[0], found[1]) == (kind == "jpeg_compression"), kind
    assert np.array_equal(state, np.random.get_state()[1])  # type: ignore[arg-type]
    assert versions()["imagecorruptions-imaug"].startswith("1.1.")


@pytest.mark.slow
def test_all_kinds_of_the_package_corrupt_colour_and_gray() -> None:
    pytest.importorskip("imagecorruptions", reason="the extra `corruptions` isn't installed")
    draws = np.random.default_rng(0)
    images = draws.integers(0, 256, (1, 32, 32, 3), np.uint8)
    for kind, severity in Corruptions.model_validate({"severities": [1]}).sets:
        for own in (images, images[..., :1]):
            found = corrupted(kind, severity, 0, own, [3])
            assert (found.shape, found.dtype) == (own.shape, np.uint8)
            assert not np.array_equal(found, own), kind

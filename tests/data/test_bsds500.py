from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from suite.data.bsds500 import read_bsds500
from suite.errors import InputError

REAL = Path(os.environ.get("LAPE_SHARED", "")) / "data" / "bsds500"


def cells(*drawn: np.ndarray) -> np.ndarray:
    """A cell array as MATLAB writes it: a structure with two fields in each cell."""
    found = np.empty((1, len(drawn)), dtype=object)
    for number, regions in enumerate(drawn):
        found[0, number] = {"Segmentation": regions, "Boundaries": np.zeros(regions.shape, np.uint8)}
    return found


def write(folder: Path, name: str = "12003", *, size: tuple[int, int] = (6, 4), split: str = "val") -> Path:
    """A photograph and its annotations by two people. Returns the path of the annotations."""
    for part in ("images", "groundTruth"):
        (folder / part / split).mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (250, 0, 0)).save(folder / "images" / split / f"{name}.jpg")
    regions = np.ones(size[::-1], np.uint16)
    regions[:, 2:] = 2
    path = folder / "groundTruth" / split / f"{name}.mat"
    savemat(path, {"groundTruth": cells(regions, np.ones_like(regions))})
    return path


def refusal(folder: Path, split: str = "val") -> str:
    with pytest.raises(InputError) as error:
        read_bsds500(folder, split)
    assert len(error.value.problems) == 1
    assert error.value.problems[0].fix
    return str(error.value)


def test_photographs_and_annotations_are_read_by_name(tmp_path: Path) -> None:
    write(tmp_path, "300")
    write(tmp_path, "12", size=(8, 5))
    (tmp_path / "images" / "val" / "Thumbs.db").write_bytes(b"\0")
    first, second = read_bsds500(tmp_path, "val")
    assert (first.name, second.name) == ("12", "300")
    assert [regions.tolist() for regions in second.annotations] == [[[1, 1, 2, 2, 2, 2]] * 4, [[1] * 6] * 4]
    assert first.annotations[0].shape == (5, 8)
    assert second.square(16).shape == (16, 16, 3)
    assert abs(second.square(16).mean(axis=(0, 1)) - [250, 0, 0]).max() < 5


def test_two_photographs_of_one_name_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "12")
    photograph = tmp_path / "images" / "val" / "12.jpg"
    (photograph.parent / "12.JPG").write_bytes(photograph.read_bytes())
    if len(list(photograph.parent.iterdir())) == 1:
        pytest.skip("this file system doesn't tell the two names apart")
    assert "12.JPG and 12.jpg" in refusal(tmp_path)


def test_a_folder_without_the_split_is_refused(tmp_path: Path) -> None:
    write(tmp_path)
    assert "in images: val" in refusal(tmp_path, "test")
    assert "no splits in images" in refusal(tmp_path / "nowhere")


def test_photographs_and_annotations_must_belong_together(tmp_path: Path) -> None:
    path = write(tmp_path)
    write(tmp_path, "other")
    path.unlink()
    assert "none for 1 of 2: 12003" in refusal(tmp_path)
    (tmp_path / "images" / "val" / "12003.jpg").unlink()
    (tmp_path / "images" / "val" / "other.jpg").unlink()
    assert "NAME.jpg for each file of annotations" in refusal(tmp_path)
    (tmp_path / "groundTruth" / "val" / "other.mat").unlink()
    assert "a split of BSDS500 is empty" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "an empty file"),
        (b"<!doctype html><html></html>", "a web page"),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 600, "a file in HDF5"),
        (b"MATLAB 5.0 MAT-file" + b"\0" * 600, "a file of an unknown kind, which begins with 'MATLAB 5.0 MAT-file"),
        (b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM" + b"\0" * 600, "a MATLAB file of version 7.3"),
        (b"regions of a photograph", "a file of an unknown kind, which begins with 'regions of a photograph'"),
    ],
)
def test_files_that_are_no_matlab_files_are_refused(tmp_path: Path, content: bytes, found: str) -> None:
    write(tmp_path).write_bytes(content)
    told = refusal(tmp_path)
    assert found in told
    assert "12003.mat" in told


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.95])
def test_a_cut_file_is_refused(tmp_path: Path, kept: float) -> None:
    path = write(tmp_path)
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data))])
    told = refusal(tmp_path)
    assert "can't be used" in told
    assert "a MATLAB file of version 5 that is damaged or cut short" in told


def test_a_damaged_file_is_refused_in_plain_words(tmp_path: Path) -> None:
    """Whatever SciPy's reader says of it, which names its own internals."""
    path = write(tmp_path)
    regions = np.ones((4, 6), np.uint16)
    savemat(path, {"groundTruth": cells(regions, regions)}, do_compression=True)
    whole, found = path.read_bytes(), set()
    for place in range(136, len(whole), 5):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x5A]) + whole[place + 1 :])
        try:
            read_bsds500(tmp_path, "val")
        except InputError as error:
            found.add(error.problems[0].found)
    assert "a MATLAB file of version 5 that is damaged or cut short" in found
    assert not [told for told in found if re.search("miMATRIX|Error|codec|bytes|reshape|index", told)]


def test_a_damaged_number_of_cells_is_refused_before_memory_is_taken(tmp_path: Path) -> None:
    """One byte makes billions of cells of one. An array of so many would end the process, not raise an error."""
    path = write(tmp_path)
    regions = np.ones((4, 6), np.uint16)
    savemat(path, {"groundTruth": cells(regions)})
    whole = path.read_bytes()
    sizes = whole.index(np.array([5, 8, 1, 1], "<i4").tobytes()) + 8  # a tag of 8 bytes of int32: the first, 1 × 1
    path.write_bytes(whole[: sizes + 3] + b"\x6a" + whole[sizes + 4 :])
    assert "groundTruth with 1,778,384,897 cells" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ({"other": np.ones(3)}, "none"),
        ({"groundTruth": np.ones((4, 6))}, "an array of float64 with the shape [4, 6]"),
        ({"groundTruth": np.empty((1, 0), dtype=object)}, "with the shape [1, 0]"),
        ({"groundTruth": cells(np.ones((6, 4), np.uint16))}, "regions of 4×6 pixels"),
        ({"groundTruth": cells(np.full((4, 6), 0.5))}, "an array of float64"),
        ({"groundTruth": cells(np.full((4, 6), -1, np.int32))}, "-1 to -1"),
        ({"groundTruth": cells(np.full((4, 6), 70_000, np.int32))}, "70000 to 70000"),
    ],
)
def test_other_content_is_refused(tmp_path: Path, content: dict[str, np.ndarray], found: str) -> None:
    savemat(write(tmp_path), content)
    assert found in refusal(tmp_path)


def test_a_structure_without_regions_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path)
    drawn = np.empty((1, 1), dtype=object)
    drawn[0, 0] = {"Boundaries": np.zeros((4, 6))}
    savemat(path, {"groundTruth": drawn})
    assert "a matrix of whole numbers" in refusal(tmp_path)


def test_a_photograph_that_is_none_is_refused(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "images" / "val" / "12003.jpg").write_bytes(b"no image")
    assert "an image can't be read" in refusal(tmp_path)


@pytest.mark.skipif(not REAL.is_dir(), reason="BSDS500 isn't here")
def test_the_published_files_are_read() -> None:
    images = read_bsds500(REAL, "val")
    assert len(images) == 40
    assert all(regions.shape in ((321, 481), (481, 321)) for image in images for regions in image.annotations)
    assert all(4 <= len(image.annotations) <= 9 for image in images)

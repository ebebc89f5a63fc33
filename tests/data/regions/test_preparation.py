"""Preparing photographs with regions: what is stored, and bad input."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from suite.data.cache import load_split, verify
from suite.data.datasets import Dataset
from suite.data.preparation import declaration
from suite.data.regions.preparation import prepare_regions
from suite.data.regions.settings import Splits, parse_regions
from suite.errors import InputError
from tests.data.test_bsds500 import cells
from tests.grouped_photographs import photograph, write_photographs

RULE = Splits(train="val", test="test")


def prepared(source: Path, root: Path, rule: Splits = RULE, size: int = 8) -> Dataset:
    return prepare_regions("photographs", rule, root=root, source=source, image_size=size)


def refusal(source: Path, root: Path, rule: Splits = RULE, size: int = 8) -> str:
    with pytest.raises(InputError) as caught:
        prepared(source, root, rule, size)
    (problem,) = caught.value.problems
    assert problem.where
    assert problem.fix
    assert not (root / "photographs").exists()
    return str(caught.value)


def test_annotations_are_further_channels(tmp_path: Path) -> None:
    dataset = prepared(write_photographs(tmp_path / "photographs"), tmp_path / "cache")
    assert (dataset.train_images, dataset.test_images, dataset.channels, dataset.num_classes) == (6, 4, 3, 1)
    assert dataset.regions is not None
    assert dataset.regions.annotators == 2
    assert dataset.summary == "6 + 4 images with regions, 8×8×3, up to 2 annotations"
    assert dataset.options == "--image-size 8 --regions train=val,test=test"
    assert dataset.guessed is None
    verify(dataset, tmp_path / "cache")
    expected = set()
    for number in range(6):
        rows, columns = (((np.arange(8) + 0.5) * length / 8).astype(int) for length in (16, 20))
        stored = np.zeros((2, 8, 8), np.uint8)
        for place, drawn in enumerate(photograph(number)[1]):
            stored[place] = np.unique(drawn[np.ix_(rows, columns)], return_inverse=True)[1].reshape(8, 8) + 1
        expected.add(stored.tobytes())
    images = load_split(dataset, "train", tmp_path / "cache").images
    assert images.shape == (6, 8, 8, 5)
    assert {np.ascontiguousarray(image[..., 3:].transpose(2, 0, 1)).tobytes() for image in images} == expected
    assert np.allclose(dataset.mean, images[..., :3].mean(axis=(0, 1, 2)) / 255, atol=1e-4)
    assert "annotators: 2" in declaration(dataset)


def test_a_folder_around_it_and_an_archive_are_the_same_data(tmp_path: Path) -> None:
    whole = prepared(write_photographs(tmp_path / "BSDS500" / "data"), tmp_path / "cache")
    archive = shutil.make_archive(str(tmp_path / "bsds"), "gztar", tmp_path, "BSDS500")
    assert prepared(Path(archive), tmp_path / "other").checksum == whole.checksum
    assert prepared(tmp_path / "BSDS500", tmp_path / "third").checksum == whole.checksum


def test_the_splits_are_part_of_the_checksum(tmp_path: Path) -> None:
    folder = write_photographs(tmp_path / "photographs", train=4, test=4)
    one = prepared(folder, tmp_path / "cache")
    other = prepared(folder, tmp_path / "other", Splits(train="test", test="val"))
    assert one.checksum != other.checksum


def test_bad_folders_are_refused(tmp_path: Path) -> None:
    folder, cache = write_photographs(tmp_path / "photographs"), tmp_path / "cache"
    assert "no images/train of BSDS500" in refusal(folder, cache, Splits(train="train", test="test"))
    path = folder / "groundTruth/val/3.mat"
    path.write_bytes(b"no MATLAB file" * 100)
    assert "3.mat" in refusal(folder, cache)
    savemat(path, {"groundTruth": cells(np.ones((5, 5), np.uint16))})
    assert "regions of 5×5 pixels" in refusal(folder, cache)
    savemat(path, {"groundTruth": cells(np.arange(320, dtype=np.uint16).reshape(16, 20))})
    assert "an annotation has too many regions" in refusal(folder, cache, size=16)
    savemat(path, {"groundTruth": cells(*[np.ones((16, 20), np.uint16)] * 33)})
    assert "too many annotations" in refusal(folder, cache)


def test_bad_options_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no --image-size"):
        prepare_regions("mine", RULE, root=tmp_path, source=tmp_path, image_size=None)
    with pytest.raises(InputError, match="a built-in data set"):
        prepare_regions("digits", RULE, root=tmp_path, source=tmp_path, image_size=8)
    with pytest.raises(InputError, match="--storage folder"):
        prepare_regions("mine", RULE, root=tmp_path, source=tmp_path, image_size=8, storage="folder")


def test_splits_are_read() -> None:
    assert parse_regions("train=train+val,test=test") == Splits(train="train+val", test="test")
    assert parse_regions("train=train+val,test=test").split_names == {"train": ["train", "val"], "test": ["test"]}
    for text, told in (
        ("train=val", "no test"),
        ("train=val,test=val", "each name once"),
        ("train=val,test=", "names of splits"),
        ("train=val,train=test", "train twice"),
        ("train", "'train'"),
        ("train=val,test=test,classes=3", "classes"),
    ):
        with pytest.raises(InputError, match=told):
            parse_regions(text)


def test_a_data_set_that_contradicts_itself_is_refused(tmp_path: Path) -> None:
    dataset = prepared(write_photographs(tmp_path / "photographs"), tmp_path / "cache")
    values = dataset.model_dump()
    for change in ({"num_classes": 2}, {"regions": None}, {"channels": 1, "mean": (0.5,), "std": (0.5,)}):
        with pytest.raises(ValueError, match="num_classes"):
            Dataset(**{**values, **change})

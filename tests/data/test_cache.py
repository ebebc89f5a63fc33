"""The cache: damage, other data than declared, and disks that can't be written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from suite.data.arrays import SPLITS
from suite.data.cache import data_root, load_split, verify
from suite.data.datasets import DATASETS, Dataset
from suite.data.preparation import prepare
from suite.errors import InputError

DIGITS = DATASETS["digits"]


def problem_of(dataset: Dataset, root: Path):
    with pytest.raises(InputError) as caught:
        verify(dataset, root)
    (problem,) = caught.value.problems
    assert all((problem.what, problem.expected, problem.found, problem.where, problem.fix))
    return problem


def flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def test_the_root_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.delenv("LAPE_DATA", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert data_root() == tmp_path / ".cache" / "lape"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert data_root() == tmp_path / "xdg" / "lape"
    monkeypatch.setenv("LAPE_DATA", str(tmp_path / "here"))
    assert data_root() == tmp_path / "here"


def test_whole_data_pass(root):
    verify(DIGITS, root)


def test_not_prepared(tmp_path):
    assert problem_of(DIGITS, tmp_path / "nowhere").fix == "run: lape data prepare digits"
    custom = DIGITS.model_copy(update={"name": "mine"})
    assert problem_of(custom, tmp_path).fix == "run: lape data prepare mine --from PATH --image-size 8"


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("what", ["images", "labels"])
@pytest.mark.parametrize("position", [-1, 1000, 128])
def test_one_changed_byte_is_found(split, what, position, root):
    flip(root / "digits" / f"{split}-{what}.npy", position)
    problem = problem_of(DIGITS, root)
    assert problem.what == "a prepared data set is damaged on disk"
    assert problem.expected == f"SHA-256 {DIGITS.checksum}"
    assert problem.found.startswith("SHA-256 ")
    assert problem.found != problem.expected
    assert problem.where == str(root / "digits")
    assert problem.fix == "prepare it again: lape data prepare digits"


def test_a_changed_byte_of_an_array_header_is_found_or_harmless(root):
    path = root / "digits" / "test-images.npy"
    whole, expected = path.read_bytes(), load_split(DIGITS, "test", root).images.copy()
    for position in range(128):
        flip(path, position)
        try:
            verify(DIGITS, root)
        except InputError as error:
            assert "damaged" in error.problems[0].what  # noqa: PT017 (both outcomes are allowed)
        else:
            np.testing.assert_array_equal(load_split(DIGITS, "test", root).images, expected)
        path.write_bytes(whole)


@pytest.mark.parametrize("damage", ["missing", "empty", "cut"])
def test_a_file_that_is_missing_or_cut(damage, root):
    path = root / "digits" / "train-images.npy"
    content = path.read_bytes()
    path.unlink() if damage == "missing" else path.write_bytes(content[: 0 if damage == "empty" else -100])
    assert problem_of(DIGITS, root).where == str(path)


@pytest.mark.parametrize("content", ["", "{", "{}", '{"format": 99}', "\xff\x00"])
def test_a_damaged_description(content, root):
    path = root / "digits" / "meta.json"
    path.write_bytes(content.encode("latin-1"))
    assert problem_of(DIGITS, root).where == str(path)


@pytest.mark.parametrize("change", [{"checksum": "0" * 64}, {"num_classes": 11}, {"image_size": 9}, {"channels": 3}])
def test_another_data_set_than_the_declared(change, root):
    declared = DIGITS.model_copy(update=change)
    problem = problem_of(declared, root)
    ((key, value),) = change.items()
    assert problem.expected == f"{key} {value}"
    assert problem.found == f"{key} {getattr(DIGITS, key)}"


def test_prepare_mends_damage(root):
    flip(root / "digits" / "train-images.npy", -1)
    assert prepare("digits", root=root) == DIGITS
    verify(DIGITS, root)


def test_a_cache_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError) as caught:
        prepare("digits", root=tmp_path / "file" / "cache")
    assert str(tmp_path / "file") in caught.value.problems[0].where
    assert caught.value.problems[0].fix


def test_a_full_disk_leaves_what_was_there(root):
    resource = pytest.importorskip("resource")
    flip(root / "digits" / "train-images.npy", -1)
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, limits[1]))  # the training images have 76,480 bytes
    try:
        with pytest.raises(InputError) as caught:
            prepare("digits", root=root)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.problems[0].what == "the disk is full"
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before

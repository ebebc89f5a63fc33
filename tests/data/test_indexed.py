"""The files of an index, read after the data set was prepared: what is told of one that is gone, closed or changed."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from suite.data.cache import load_index, verify
from suite.data.datasets import Dataset
from suite.data.images import FolderImages, load_images
from suite.data.preparation import prepare
from suite.errors import InputError, Problem

WriteTree = Callable[..., Path]


@pytest.fixture
def folder(write_tree: WriteTree) -> Path:
    return write_tree("my pictures")


@pytest.fixture
def dataset(folder: Path, tmp_path: Path) -> Dataset:
    return prepare("drawings", root=tmp_path / "cache", source=folder, storage="folder")


@pytest.fixture
def images(dataset: Dataset, tmp_path: Path) -> FolderImages:
    loaded = load_images(dataset, "train", tmp_path / "cache")
    assert isinstance(loaded, FolderImages)
    return loaded


def problem_of(read: Callable[[], object]) -> Problem:
    with pytest.raises(InputError) as caught:
        read()
    (problem,) = caught.value.problems
    assert all((problem.what, problem.expected, problem.found, problem.where, problem.fix))
    return problem


def every_image(images: FolderImages) -> Callable[[], object]:
    return lambda: images.batch(images.labels.new_tensor(range(len(images))))


def test_a_file_that_goes_during_training_is_to_be_put_back(
    images: FolderImages, dataset: Dataset, folder: Path, tmp_path: Path
) -> None:
    """With the same words as at the start of a run: to remove it is what broke the data set."""
    path = folder / images.rows[5].path
    path.unlink()
    during, start = problem_of(every_image(images)), problem_of(lambda: verify(dataset, tmp_path / "cache"))
    assert during == start
    assert during.where == str(path)
    assert during.found == "No such file or directory"
    assert during.expected == f"a file of {images.rows[5].size} bytes"
    assert during.fix == (
        f"put the images back, or run: lape data prepare drawings --from '{folder}' --image-size 12 --storage folder"
    )


def test_a_folder_that_is_gone_is_not_named_as_the_source(images: FolderImages, folder: Path, tmp_path: Path) -> None:
    folder.rename(tmp_path / "moved")
    assert "lape data prepare drawings --from PATH --image-size 12" in problem_of(every_image(images)).fix


@pytest.mark.parametrize("moment", ["during", "start"])
def test_a_file_that_may_not_be_read_needs_other_permissions(
    moment: str,
    images: FolderImages,
    dataset: Dataset,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = folder / images.rows[5].path
    name = "open" if moment == "during" else "stat"  # a folder that may not be entered refuses both
    real = getattr(os, name)

    def denied(file: object, *arguments: object, **options: object) -> object:
        if file == path:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return real(file, *arguments, **options)

    monkeypatch.setattr(os, name, denied)
    problem = problem_of(every_image(images) if moment == "during" else lambda: verify(dataset, tmp_path / "cache"))
    assert problem.where == str(path)
    assert problem.found == "Permission denied"
    assert problem.fix == "change the permissions of this file, or of the folders above it"


def test_what_took_the_place_of_a_file_is_told(images: FolderImages, folder: Path) -> None:
    path = folder / images.rows[5].path
    path.unlink()
    path.mkdir()
    assert "put the images back, or run: lape data prepare drawings" in problem_of(every_image(images)).fix
    path.rmdir()
    os.mkfifo(path)
    problem = problem_of(every_image(images))
    assert "a pipe" in problem.found
    assert "put the images back, or run: lape data prepare drawings" in problem.fix


def test_a_file_that_changed_is_told_with_the_folder(dataset: Dataset, folder: Path, tmp_path: Path) -> None:
    row = load_index(dataset, "test", tmp_path / "cache").rows[0]
    (folder / row.path).write_bytes(b"another file")
    problem = problem_of(lambda: verify(dataset, tmp_path / "cache"))
    assert problem.found == "12 bytes"
    assert f"put the original file back, or run: lape data prepare drawings --from '{folder}'" in problem.fix

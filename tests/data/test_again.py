"""`lape data prepare` for a data set that is prepared already: its files are read again, its form stays."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from suite import text
from suite.data import again
from suite.data.cache import load_index, verify
from suite.data.datasets import Dataset
from suite.data.images import load_images
from suite.data.preparation import prepare
from suite.errors import InputError, Problem
from tests.data.drawings import change_in_secret
from tests.data.sound.test_reading import BY_SPEAKER, write_digits

WriteTree = Callable[..., Path]


def first_file(dataset: Dataset, root: Path, folder: Path) -> Path:
    return folder / load_index(dataset, "train", root).rows[0].path


def refused(**options: object) -> Problem:
    with pytest.raises(InputError) as caught:
        prepare("drawings", **options)  # type: ignore[arg-type]
    (problem,) = caught.value.problems
    assert all((problem.what, problem.expected, problem.found, problem.where, problem.fix))
    return problem


def test_an_image_that_changed_in_secret_is_prepared_anew(write_tree: WriteTree, tmp_path: Path) -> None:
    """The advice of the run that fails: it must not lead to the same failure."""
    root, folder = tmp_path / "cache", write_tree(suffix=".bmp")
    before = prepare("drawings", root=root, source=folder, storage="folder")
    path = first_file(before, root, folder)
    change_in_secret(path)
    verify(before, root)  # which reads no image
    assert refused(root=root).where == str(path)
    after = prepare("drawings", root=root, source=folder, storage="folder")
    assert after.checksum != before.checksum
    assert len(load_images(after, "train", root).batch(torch.arange(12))) == 12


def test_whole_files_are_read_but_not_prepared_anew(
    write_tree: WriteTree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, folder = tmp_path / "cache", write_tree()
    first = prepare("drawings", root=root, source=folder, storage="folder")
    read, real = [], again.read_indexed
    monkeypatch.setattr(again, "read_indexed", lambda *what: (read.append(what[1].path), real(*what))[1])
    monkeypatch.setattr("suite.data.preparation.read_index", None)
    for source in (folder, None):
        assert prepare("drawings", root=root, source=source, storage="folder") == first
        assert sorted(read) == sorted(path.relative_to(folder).as_posix() for path in folder.glob("*/*/*"))
        read.clear()


def test_reading_again_tells_its_progress(
    write_tree: WriteTree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root, folder = tmp_path / "cache", write_tree()
    prepare("drawings", root=root, source=folder, storage="folder")
    real = again.read_indexed

    def slow(*arguments: object) -> object:
        time.sleep(0.05)
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(again, "read_indexed", slow)
    monkeypatch.setattr(text, "PROGRESS_SECONDS", 0.04)
    prepare("drawings", root=root)
    lines = [line for line in capsys.readouterr().err.splitlines() if "left" in line]
    assert lines
    assert re.fullmatch(
        r"preparing drawings: reading the images again, \d+ of 18 images, \d+ s so far, about \d+ s left", lines[-1]
    )


@pytest.mark.parametrize(
    ("options", "found", "needed"),
    [
        ({"image_size": 64}, "--image-size 64", "--image-size 64,"),
        ({"storage": "folder"}, "--storage folder", "--image-size 12 --storage folder,"),
        (
            {"image_size": 64, "storage": "folder"},
            "--image-size 64 and --storage folder",
            "--image-size 64 --storage folder,",
        ),
    ],
)
def test_an_option_that_differs_is_not_ignored(
    options: dict[str, object], found: str, needed: str, write_tree: WriteTree, tmp_path: Path
) -> None:
    root = tmp_path / "cache"
    dataset = prepare("drawings", root=root, source=write_tree())
    problem = refused(root=root, **options)
    assert problem.expected == "images of 12 pixels, stored as arrays: so they are prepared"
    assert problem.found == found
    assert f"lape data prepare drawings --from PATH {needed}" in problem.fix
    for same in ({"image_size": 12}, {"storage": "arrays"}, {"storage": "auto"}, {}):
        assert prepare("drawings", root=root, **same) == dataset  # type: ignore[arg-type]


def test_an_option_that_differs_for_a_folder_names_the_folder(write_tree: WriteTree, tmp_path: Path) -> None:
    root, folder = tmp_path / "cache", write_tree()
    prepare("drawings", root=root, source=folder, storage="folder")
    problem = refused(root=root, storage="arrays")
    assert problem.expected == "images of 12 pixels, stored as a folder: so they are prepared"
    assert f"lape data prepare drawings --from {folder} --image-size 12 --storage arrays," in problem.fix
    smaller = refused(root=root, image_size=8)
    assert f"lape data prepare drawings --from {folder} --image-size 8 --storage folder," in smaller.fix


def test_an_option_that_differs_for_recordings_suggests_no_command(tmp_path: Path) -> None:
    """They have no --image-size: their settings say how large they are."""
    folder = write_digits(tmp_path / "digits")
    dataset = prepare("drawings", root=tmp_path / "cache", source=folder, sound=BY_SPEAKER)
    assert refused(root=tmp_path / "cache", image_size=7).fix == (
        "leave the options out; or prepare it again from its files, with all of its options"
    )
    assert prepare("drawings", root=tmp_path / "cache") == dataset

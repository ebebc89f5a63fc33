"""Listing image folders, and what is said of those that aren't usable."""

from __future__ import annotations

import shutil

import pytest

from suite.data.tree import find_top, list_tree
from suite.errors import InputError
from tests.data.drawings import CLASSES, drawing


def refused(folder):
    with pytest.raises(InputError) as caught:
        list_tree(find_top(folder))
    (problem,) = caught.value.problems
    assert problem.expected
    assert problem.found
    assert problem.fix
    assert str(folder) in problem.where
    return problem


@pytest.mark.parametrize("test_name", ["test", "val", "validation"])
def test_all_images_with_labels_by_the_alphabet(test_name, write_tree):
    tree = list_tree(write_tree(test_name=test_name))
    assert tree.classes == tuple(sorted(CLASSES))
    assert {split: len(files) for split, files in tree.splits.items()} == {"train": 12, "test": 6}
    assert all(tree.classes[label] == path.parent.name for files in tree.splits.values() for path, label in files)


def test_the_top_may_lie_deeper(write_tree, tmp_path):
    folder = write_tree("outer/inner/pictures")
    (tmp_path / "outer" / "__MACOSX").mkdir()
    assert find_top(tmp_path / "outer") == folder


def test_other_files_and_hidden_ones_are_ignored_and_subfolders_are_read(write_tree):
    folder = write_tree()
    before = list_tree(folder)
    (folder / "train" / "disc" / "boxes.txt").write_text("0 0 1 1")
    (folder / "train" / "disc" / "._0.png").write_bytes(b"not an image")
    (folder / ".git").mkdir()
    (folder / "train" / ".cache").mkdir()
    assert list_tree(folder) == before
    (folder / "train" / "disc" / "images").mkdir()
    drawing("disc", 77).save(folder / "train" / "disc" / "images" / "77.PNG")
    assert len(list_tree(folder).splits["train"]) == 13


def test_the_stamp_tells_changes(write_tree):
    folder = write_tree()
    stamps = [list_tree(folder).stamp(), list_tree(folder).stamp(32)]
    assert list_tree(folder).stamp() == stamps[0]
    drawing("cross", 50).save(folder / "train" / "cross" / "0.png")
    stamps.append(list_tree(folder).stamp())
    (folder / "test" / "cross" / "1000.png").unlink()
    stamps.append(list_tree(folder).stamp())
    assert len(set(stamps)) == 4


def test_a_missing_training_split(write_tree):
    folder = write_tree()
    shutil.rmtree(folder / "train")
    (folder / "notes").mkdir()
    problem = refused(folder)
    assert "train/" in problem.found
    assert "test/" in problem.found


def test_a_missing_test_split(write_tree):
    folder = write_tree()
    shutil.rmtree(folder / "test")
    assert "no test split" in refused(folder).what


def test_two_candidates_for_the_test_split(write_tree):
    folder = write_tree()
    shutil.copytree(folder / "test", folder / "val")
    assert refused(folder).found == "test/ and val/"


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_class_that_is_missing_in_one_split(split, write_tree):
    folder = write_tree()
    shutil.rmtree(folder / split / "square")
    problem = refused(folder)
    assert problem.found == "no folder square"
    assert problem.where == str(folder / split)


@pytest.mark.parametrize("split", ["train", "test"])
def test_an_empty_class(split, write_tree):
    folder = write_tree()
    for path in (folder / split / "disc").iterdir():
        path.rename(path.with_suffix(".txt"))
    problem = refused(folder)
    assert problem.where == str(folder / split / "disc")
    assert ".txt" in problem.found


def test_one_class_only(write_tree):
    assert "fewer than two classes" in refused(write_tree(classes=("disc",))).what


def test_an_image_beside_the_class_folders(write_tree):
    folder = write_tree()
    drawing("disc", 1).save(folder / "test" / "stray.png")
    assert refused(folder).found == "stray.png"

"""Links, special files and names in image folders."""

from __future__ import annotations

import os
import socket
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from suite.data.tree import Tree, find_top, list_tree
from suite.errors import InputError, Problem
from tests.data.drawings import drawing

WriteTree = Callable[..., Path]


def listed(folder: Path) -> Tree:
    return list_tree(find_top(folder))


def refused(folder: Path) -> Problem:
    with pytest.raises(InputError) as caught:
        listed(folder)
    (problem,) = caught.value.problems
    assert problem.expected
    assert problem.found
    assert problem.fix
    return problem


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("train/disc/disc", "../disc"),  # `ln -s ../disc disc`, typed twice
        ("train/disc/x", "."),
        ("train/disc/deep/x", ".."),
        ("train/disc/x", ".."),
        ("train/disc/x", "../.."),
        ("train/disc/x", "/"),
        ("train/x", "."),
        ("train/x", ".."),
    ],
)
def test_a_link_back_to_a_folder_above_is_named(write_tree: WriteTree, link: str, target: str) -> None:
    folder = write_tree()
    (folder / link).parent.mkdir(exist_ok=True)
    (folder / link).symlink_to(target)
    if link == "train/x":
        (folder / "test" / "x").mkdir()
    problem = refused(folder)
    assert problem.what == "a link leads back to a folder above it"
    assert problem.where == str(folder / link)


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("train/disc/x", "../cross"),
        ("train/cross/x", "../square"),  # whichever of the two comes first
        ("train/disc/x", "../../test/disc"),
        ("train/disc/x", "../../test"),
        ("test/square/x", "../../train/disc"),
        ("train/disc/a", "b"),
    ],
)
def test_a_link_to_another_part_of_the_data_set_is_named(write_tree: WriteTree, link: str, target: str) -> None:
    folder = write_tree()
    (folder / "train" / "disc" / "b").mkdir()
    (folder / link).symlink_to(target)
    problem = refused(folder)
    assert problem.what == "a link leads to a folder that is part of the data set already"
    assert problem.where == str(folder / link)


def test_one_folder_elsewhere_under_two_classes(write_tree: WriteTree, tmp_path: Path) -> None:
    folder, elsewhere = write_tree(), tmp_path / "elsewhere"
    elsewhere.mkdir()
    drawing("disc", 70).save(elsewhere / "70.png")
    (folder / "train" / "cross" / "more").symlink_to(elsewhere)
    assert len(listed(folder).splits["train"]) == 13  # links to folders elsewhere are followed
    (folder / "test" / "disc" / "more").symlink_to(elsewhere)
    problem = refused(folder)
    assert problem.where == str(folder / "test" / "disc" / "more")
    assert "train/cross/more" in problem.found


def test_splits_and_classes_may_be_links_to_distinct_folders(write_tree: WriteTree, tmp_path: Path) -> None:
    real, farm = write_tree("real", test_name="val"), tmp_path / "farm"
    (farm / "train").mkdir(parents=True)
    (farm / "test").symlink_to(real / "val")
    for kind in ("disc", "cross"):
        (farm / "train" / kind).symlink_to(real / "train" / kind)
    (farm / "train" / "square").mkdir()
    for path in (real / "train" / "square").iterdir():
        (farm / "train" / "square" / path.name).symlink_to(path)
    assert [label for _, label in listed(farm).splits["train"]] == [label for _, label in listed(real).splits["train"]]


def test_one_folder_as_both_splits(write_tree: WriteTree, tmp_path: Path) -> None:
    real, farm = write_tree("real"), tmp_path / "farm"
    farm.mkdir()
    (farm / "train").symlink_to(real / "train")
    (farm / "test").symlink_to(real / "train")
    assert refused(farm).where == str(farm / "test")


@pytest.mark.parametrize("target", ["../../test/disc/1000.png", "../cross/0.png", "0.png"])
def test_a_linked_file_of_the_data_set(write_tree: WriteTree, target: str) -> None:
    folder = write_tree()
    (folder / "train" / "disc" / "a.png").symlink_to(target)
    problem = refused(folder)
    assert problem.what == "a link leads to a file that is part of the data set already"
    assert problem.where == str(folder / "train" / "disc" / "a.png")


@pytest.mark.parametrize("link", ["train/disc/9.png", "train/disc/more", "train/more", "test"])
def test_a_link_that_leads_nowhere(write_tree: WriteTree, link: str) -> None:
    folder = write_tree(test_name="val" if link == "test" else "test")
    (folder / link).symlink_to("absent")
    problem = refused(folder)
    assert problem.what == "a link leads nowhere"
    assert problem.found.endswith("absent")
    assert problem.where == str(folder / link)


def test_a_link_to_itself(write_tree: WriteTree) -> None:
    folder = write_tree()
    (folder / "train" / "disc" / "x").symlink_to("x")
    assert refused(folder).what == "a link leads nowhere"


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
def test_what_is_no_file_is_never_opened(write_tree: WriteTree, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_tree()
    path = folder / "train" / "disc" / "9.png"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        monkeypatch.chdir(path.parent)
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    problem = refused(folder)
    assert problem.found == "a pipe, a socket or a device"
    assert problem.where == str(path)


def test_files_by_other_names_are_counted(write_tree: WriteTree) -> None:
    folder = write_tree()
    for name in ("a.heic", "b", "notes.txt", ".hidden"):
        (folder / "train" / "disc" / name).write_bytes(b"?")
    (folder / "train" / "labels.csv").write_text("?")
    (folder / "test" / "disc" / "pipe").touch()
    tree = listed(folder)
    assert tree.others == 5
    assert tree.other_names == ("labels.csv", "a.heic", "b", "notes.txt", "pipe")


@pytest.mark.parametrize("suffix", [".jfif", ".jpe", ".JPE"])
def test_other_suffixes_of_photographs(write_tree: WriteTree, suffix: str) -> None:
    folder = write_tree()
    drawing("disc", 70).save(folder / "train" / "disc" / f"a{suffix}", "JPEG")
    assert len(listed(folder).splits["train"]) == 13


def test_names_that_are_not_utf8(write_tree: WriteTree) -> None:
    folder = write_tree()
    name = os.fsdecode(b"caf\xe9.png")
    drawing("disc", 70).save(folder / "train" / "disc" / "70.png")
    (folder / "train" / "disc" / "70.png").rename(folder / "train" / "disc" / name)
    problem = refused(folder)
    assert problem.what == "the name of a file or folder is not UTF-8"
    assert problem.found == r"caf\xe9.png"
    assert problem.where == str(folder / "train" / "disc") + r"/caf\xe9.png"
    str(problem).encode()  # or it couldn't be printed
    (folder / "train" / "disc" / name).rename(folder / "train" / "disc" / "70.png")
    for split in ("train", "test"):
        (folder / split / "disc").rename(folder / split / os.fsdecode(b"sc\xe8ne"))
    assert refused(folder).found == r"sc\xe8ne"


def test_names_in_two_forms_of_unicode(write_tree: WriteTree) -> None:
    folder = write_tree()
    for split, form in (("train", "NFC"), ("test", "NFD")):
        (folder / split / "disc").rename(folder / split / unicodedata.normalize(form, "café"))  # type: ignore[arg-type]
    problem = refused(folder)
    assert problem.what == "the same class has names in two forms of Unicode"
    assert r"'caf\xe9' in train/" in problem.found
    assert r"'cafe\u0301' in test/" in problem.found


def test_two_classes_of_one_name_in_two_forms_of_unicode(write_tree: WriteTree) -> None:
    folder = write_tree()
    for split in ("train", "test"):
        (folder / split / "disc").rename(folder / split / unicodedata.normalize("NFC", "café"))
        (folder / split / "cross").rename(folder / split / unicodedata.normalize("NFD", "café"))
    problem = refused(folder)
    assert problem.what == "two classes have one name, in two forms of Unicode"
    assert problem.found == r"café: 'cafe\u0301' and 'caf\xe9'"
    assert problem.where == str(folder / "train")


def test_control_characters_of_a_class_are_escaped(write_tree: WriteTree) -> None:
    folder = write_tree()
    (folder / "train" / "disc").rename(folder / "train" / "a\x1b[2J\u202e")
    problem = refused(folder)
    assert r"a\x1b[2J\u202e" in str(problem)
    assert str(problem).replace("\n", "").isprintable()

"""Image folders: train/ and test/ (or val/, validation/), with a folder per class in each."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from suite.data.decode import SUFFIXES
from suite.errors import InputError
from suite.store.canonical import canonical_json

TEST_NAMES = ("test", "val", "validation")


@dataclass(frozen=True)
class Tree:
    """The image files of both splits, as (path, label). Labels count the class folders in alphabetical order."""

    folder: Path
    classes: tuple[str, ...]
    splits: dict[str, list[tuple[Path, int]]]

    @property
    def paths(self) -> list[Path]:
        """All image files."""
        return [path for files in self.splits.values() for path, _ in files]

    def stamp(self, *options: object) -> str:
        """Changes whenever a file is added, removed, replaced or edited, or an option differs."""
        stats = [(path.relative_to(self.folder).as_posix(), path.stat()) for path in self.paths]
        files = [[path, stat.st_size, stat.st_mtime_ns] for path, stat in stats]
        return hashlib.sha256(canonical_json([str(self.folder), files, options]).encode()).hexdigest()


def find_top(folder: Path) -> Path:
    """The folder that holds train/: the given one, or the only folder inside it, as archives often have one."""
    top = folder
    while not (top / "train").is_dir():
        inside = [path for path in _visible(top) if path.is_dir()]
        if len(inside) != 1:
            raise InputError(
                "not an image folder",
                expected="a folder train/ and a folder test/, val/ or validation/, with a folder per class in each",
                found=f"no train/, but {_names(_visible(folder))}",
                where=str(folder),
                fix="give the folder or archive that holds train/",
            )
        top = inside[0]
    return top


def list_tree(folder: Path) -> Tree:
    """List the images below `folder`, which holds train/ and one of test/, val/ and validation/.

    Images may lie in subfolders of their class. Hidden files and files that are no images are ignored.

    Raises:
        InputError: a split is missing or ambiguous, the classes of the splits differ, a class is empty, an image lies
            outside of the class folders.
    """
    candidates = [name for name in TEST_NAMES if (folder / name).is_dir()]
    if len(candidates) != 1:
        raise InputError(
            "which images are the test split?" if candidates else "the image folder has no test split",
            expected="one of test/, val/ and validation/ beside train/",
            found=" and ".join(f"{name}/" for name in candidates) or _names(_visible(folder)),
            where=str(folder),
            fix="make a folder of links to the two splits that you mean, and give that"
            if candidates
            else "add a folder test/ with a folder per class",
        )
    folders = {"train": folder / "train", "test": folder / candidates[0]}
    classes = {split: _classes(path) for split, path in folders.items()}
    for split, other in (("test", "train"), ("train", "test")):
        if missing := [name for name in classes[other] if name not in classes[split]]:
            raise InputError(
                f"a class is missing in the {split} split",
                expected=f"the classes of {folders[other].name}/: {_shortened(classes[other])}",
                found=f"no folder {_shortened(missing)}",
                where=str(folders[split]),
                fix=f"add its images, or remove the class from {folders[other].name}/",
            )
    if len(classes["train"]) < 2:
        raise InputError(
            "an image folder with fewer than two classes",
            expected="at least two class folders",
            found=_names([folders["train"] / name for name in classes["train"]]),
            where=str(folders["train"]),
            fix="make a folder for each class",
        )
    splits = {
        split: [(image, label) for label, name in enumerate(classes[split]) for image in _images(path / name)]
        for split, path in folders.items()
    }
    return Tree(folder, tuple(classes["train"]), splits)


def _classes(split: Path) -> list[str]:
    for path in _visible(split):
        if path.is_file() and path.suffix.lower() in SUFFIXES:
            raise InputError(
                "an image lies outside of the class folders",
                expected="each image in the folder of its class",
                found=path.name,
                where=str(split),
                fix="move it into the folder of its class, or remove it",
            )
    return [path.name for path in _visible(split) if path.is_dir()]


def _images(folder: Path) -> list[Path]:
    found = [
        Path(parent, name)
        for parent, _, names in os.walk(folder, followlinks=True)
        for name in names
        if not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES
    ]
    if not found:
        raise InputError(
            "a class without images",
            expected=f"at least one image ({', '.join(sorted(SUFFIXES))})",
            found=_names(_visible(folder)),
            where=str(folder),
            fix="add its images, or remove the folder from both splits",
        )
    return sorted(found)


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and path.name != "__MACOSX")


def _names(paths: list[Path]) -> str:
    return _shortened([path.name + ("/" if path.is_dir() else "") for path in paths]) or "nothing"


def _shortened(names: list[str], at_most: int = 5) -> str:
    more = f" and {len(names) - at_most} more" if len(names) > at_most else ""
    return ", ".join(names[:at_most]) + more

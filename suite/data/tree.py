"""Folders of images or of recordings: train/ and test/ (or val/ or validation/), each with a folder per class."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from suite.data.names import code_points, composed, listed, name_text, shown
from suite.data.walk import IMAGES, FileKind, Walk, check_link
from suite.errors import InputError
from suite.store.canonical import canonical_json

TEST_NAMES = ("test", "val", "validation")


@dataclass(frozen=True)
class Tree:
    """The files of both splits, as (path, label). Labels number the class folders in alphabetical order.

    Attributes:
        others: the number of files that are not read, because their names aren't those of the kind.
        other_names: some of those names.
        kind: what the files are.
    """

    folder: Path
    classes: tuple[str, ...]
    splits: dict[str, list[tuple[Path, int]]]
    others: int = field(default=0, compare=False)
    other_names: tuple[str, ...] = field(default=(), compare=False)
    kind: FileKind = IMAGES

    @property
    def paths(self) -> list[Path]:
        """All files."""
        return [path for files in self.splits.values() for path, _ in files]

    def stamp(self, *options: object) -> str:
        """A digest that changes if a file is added, removed, replaced or edited, or if an option differs."""
        stats = [(name_text(path.relative_to(self.folder)), path.stat()) for path in self.paths]
        files = [[path, stat.st_size, stat.st_mtime_ns] for path, stat in stats]
        return hashlib.sha256(canonical_json([shown(self.folder), files, options]).encode()).hexdigest()


def find_top(folder: Path, kind: FileKind = IMAGES) -> Path:
    """The folder that holds train/: the given one, or the only folder inside it, at any depth.

    Archives often have such an outer folder.

    Raises:
        InputError: there is no such folder.
    """
    top, seen = folder, {folder.resolve()}
    while not (top / "train").is_dir():
        check_link(top / "train")
        inside = [path for path in _visible(top) if path.is_dir()]
        if len(inside) != 1 or inside[0].resolve() in seen:
            raise InputError(
                f"not {kind.one} folder",
                expected="a folder train/ and a folder test/, val/ or validation/, with a folder per class in each",
                found=f"no train/, but {_names(_visible(folder))}",
                where=shown(folder),
                fix="give the folder or archive that holds train/",
            )
        top = inside[0]
        seen.add(top.resolve())
    return top


def list_tree(folder: Path, kind: FileKind = IMAGES) -> Tree:
    """List the images, or the files of another kind, below `folder`.

    It holds train/ and one of test/, val/ and validation/. Files may be in subfolders of their class. Links are
    followed. Hidden files are ignored. Files whose names aren't those of the kind are only counted.

    Raises:
        InputError: a split is missing or ambiguous, the classes of the splits differ, a class is empty, a file is
            outside of the class folders, a name is not UTF-8, or a link can't be followed; see `Walk`.
    """
    for name in ("train", *TEST_NAMES):
        check_link(folder / name)
    candidates = [name for name in TEST_NAMES if (folder / name).is_dir()]
    if len(candidates) != 1:
        raise InputError(
            f"which {kind.many} are the test split?" if candidates else f"the {kind.noun} folder has no test split",
            expected="one of test/, val/ and validation/ beside train/",
            found=" and ".join(f"{name}/" for name in candidates) or _names(_visible(folder)),
            where=shown(folder),
            fix="make a folder of links to the two splits that you mean, and give that"
            if candidates
            else "add a folder test/ with a folder per class",
        )
    walk = Walk(folder, kind)
    folders = {"train": folder / "train", "test": folder / candidates[0]}
    for path in folders.values():
        walk.enter(path)
    classes = {
        split: {name_text(path.name, path): path for path in walk.folders(top)} for split, top in folders.items()
    }
    names = {split: sorted(paths) for split, paths in classes.items()}
    _check_classes(names, folders, kind)
    for split in folders:  # before any subfolder, so that a folder reached again is reached by a link
        for name in names[split]:
            walk.enter(classes[split][name])
    splits = {
        split: [(image, label) for label, name in enumerate(names[split]) for image in _files(walk, paths[name], kind)]
        for split, paths in classes.items()
    }
    walk.check_linked(path for files in splits.values() for path, _ in files)
    return Tree(folder, tuple(names["train"]), splits, walk.others, tuple(walk.other_names), kind)


def _check_classes(names: Mapping[str, Sequence[str]], folders: Mapping[str, Path], kind: FileKind) -> None:
    for split, paths in folders.items():
        first: dict[str, str] = {}
        for name in names[split]:
            if (twin := first.setdefault(composed(name), name)) is not name:
                raise InputError(
                    "two classes have one name, in two forms of Unicode",
                    expected="a name for each class: macOS writes accents apart (NFD), other systems don't (NFC)",
                    found=f"{shown(name)}: {code_points(twin)} and {code_points(name)}",
                    where=shown(paths),
                    fix=f"move the {kind.many} of one folder to the other, or rename it if they are two classes",
                )
    for split, other in (("test", "train"), ("train", "test")):
        missing = [name for name in names[other] if name not in names[split]]
        forms = {composed(name): name for name in names[split]}
        if alike := [name for name in missing if composed(name) in forms]:
            pairs = [(name, forms[composed(name)]) for name in alike]
            raise InputError(
                "the same class has names in two forms of Unicode",
                expected="the same bytes in both splits: macOS writes accents apart (NFD), other systems don't (NFC)",
                found="; ".join(
                    f"{shown(name)}: {code_points(name)} in {folders[other].name}/, {code_points(twin)} in "
                    f"{folders[split].name}/"
                    for name, twin in pairs[:3]
                )
                + (f"; and {len(pairs) - 3} more" if len(pairs) > 3 else ""),
                where=shown(folders[split]),
                fix="rename the folders of one split: `convmv -r -f utf8 -t utf8 --nfc FOLDER` lists the changes",
            )
        if missing:
            raise InputError(
                f"a class is missing in the {split} split",
                expected=f"the classes of {folders[other].name}/: {listed(names[other])}",
                found=f"no folder {listed(missing)}",
                where=shown(folders[split]),
                fix=f"add its {kind.many}, or remove the class from {folders[other].name}/",
            )
    if len(names["train"]) < 2:
        raise InputError(
            f"{kind.one} folder with fewer than two classes",
            expected="at least two class folders",
            found=listed(f"{name}/" for name in names["train"]) or "nothing",
            where=shown(folders["train"]),
            fix="make a folder for each class",
        )


def _files(walk: Walk, folder: Path, kind: FileKind) -> list[Path]:
    found = walk.files(folder)
    if not found:
        raise InputError(
            f"a class without {kind.many}",
            expected=f"at least one {kind.noun} ({', '.join(sorted(kind.suffixes))})",
            found=_names(_visible(folder)),
            where=shown(folder),
            fix=f"add its {kind.many}, or remove the folder from both splits",
        )
    return found


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and path.name != "__MACOSX")


def _names(paths: list[Path]) -> str:
    return listed(path.name + ("/" if path.is_dir() else "") for path in paths) or "nothing"

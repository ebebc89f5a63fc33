"""Listing recordings and making their splits: by folders, by speakers, or by the lists of a DCASE folder."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from suite.data.names import listed, name_path, name_text, shown
from suite.data.regular_files import read_regular
from suite.data.sound.settings import FOLDERS, Sound
from suite.data.sound.wav import SUFFIXES
from suite.data.tree import Tree, find_top, list_tree
from suite.data.walk import FileKind, Walk
from suite.errors import InputError, unknown

RECORDINGS = FileKind("a recording", "recordings", frozenset(SUFFIXES))
META = "meta.csv"
LISTS = "evaluation_setup"
_MOST_LIST = 2**26  # bytes of a list
_NAME = re.compile(r"(?P<label>[^_]+)_(?P<speaker>[^_]+)_(?P<index>[0-9]+)")


def list_recordings(folder: Path, sound: Sound) -> Tree:
    """List the recordings below a folder, with their classes and splits.

    Raises:
        InputError: the folder doesn't have the layout that `sound.split` needs.
    """
    if sound.split == FOLDERS:
        return list_tree(find_top(folder, RECORDINGS), RECORDINGS)
    if sound.fold is not None:
        return _by_fold(_dcase_top(folder), sound.fold)
    return _by_speaker(folder, sound.test_speakers)


def _by_speaker(folder: Path, test_speakers: tuple[str, ...]) -> Tree:
    """The recordings anywhere below a folder, with names LABEL_SPEAKER_INDEX.wav."""
    walk = Walk(folder, RECORDINGS)
    paths = walk.files(folder)
    walk.check_linked(paths)
    parts = {}
    for path in paths:
        match = _NAME.fullmatch(name_text(path.stem))
        if match is None:
            raise InputError(
                "a recording's name doesn't say its class and its speaker",
                expected="LABEL_SPEAKER_INDEX.wav, such as 7_theo_12.wav",
                found=shown(path.name),
                where=shown(path.parent),
                fix="rename or remove it; or make folders train/ and test/ with a folder per class, and use "
                "--split folders",
            )
        parts[path] = match["label"], match["speaker"]
    speakers = sorted({speaker for _, speaker in parts.values()})
    where = f"--split speakers:{','.join(test_speakers)}"
    for speaker in test_speakers:
        if speaker not in speakers:
            raise unknown("speaker", speaker, speakers, where=where)
    if len(set(test_speakers)) == len(speakers):
        raise InputError(
            "no speaker is left for training",
            expected=f"at least one of the {len(speakers)} speakers in the training split",
            found=f"all in the test split: {listed(speakers)}",
            where=where,
            fix="name fewer speakers",
        )
    rows: dict[str, list[tuple[Path, str]]] = {"train": [], "test": []}
    for path, (label, speaker) in parts.items():
        rows["test" if speaker in test_speakers else "train"].append((path, label))
    return _tree(folder, rows, where, walk.others, tuple(walk.other_names))


def _dcase_top(folder: Path) -> Path:
    """The folder that holds meta.csv: the given one, or one inside it."""
    found = [folder] if (folder / META).is_file() else sorted(path.parent for path in folder.glob(f"*/{META}"))
    if len(found) != 1:
        raise InputError(
            "not one DCASE folder",
            expected=f"a file {META}, a folder {LISTS}/ and the recordings that they name",
            found=f"{len(found)} files {META}" if found else f"no {META}",
            where=shown(folder),
            fix="give the folder that holds them",
        )
    return found[0]


def _by_fold(top: Path, fold: int) -> Tree:
    """The recordings that the lists of a fold name. Scenes are those of meta.csv."""
    meta = top / META
    scenes: dict[str, str] = {}
    for number, (file, *rest) in _rows(meta):
        if not rest or not rest[0]:
            raise _wrong_row(meta, number, "a file and its scene", "a file without a scene")
        if scenes.setdefault(file, rest[0]) != rest[0]:
            raise _wrong_row(meta, number, "one scene for each file", f"{shown(file)} with two scenes")
    rows: dict[str, list[tuple[Path, str]]] = {}
    first: dict[str, str] = {}
    for split, names in (("train", ("train",)), ("test", ("evaluate", "test"))):
        path = _fold_list(top, fold, names)
        rows[split] = []
        for number, (file, *rest) in _rows(path):
            if file not in scenes:
                raise _wrong_row(path, number, f"a file that {META} names", shown(file))
            if rest and rest[0] not in ("", scenes[file]):
                raise _wrong_row(path, number, f"the scene of {META}: {shown(scenes[file])}", shown(rest[0]))
            if file in first:
                raise _wrong_row(path, number, "each file once", f"{shown(file)}, which the {first[file]} list has too")
            first[file] = split
            rows[split].append((_inside(top, file, path, number), scenes[file]))
    return _tree(top, rows, f"{shown(top / LISTS)}, fold {fold}")


def _fold_list(top: Path, fold: int, names: Iterable[str]) -> Path:
    candidates = [top / LISTS / f"fold{fold}_{name}{suffix}" for name in names for suffix in (".csv", ".txt")]
    for path in candidates:
        if path.is_file():
            return path
    raise InputError(
        "a list of a fold is missing",
        expected=" or ".join(path.name for path in candidates),
        found=listed(sorted(path.name for path in (top / LISTS).glob("fold*"))) or "no lists of folds",
        where=shown(top / LISTS),
        fix="add the list, or choose another fold",
    )


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The rows of a list with their line numbers: separated by tabs or else commas, without a heading."""
    try:
        text = read_regular(path, _MOST_LIST).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        found = error.strerror or str(error) if isinstance(error, OSError) else "text in another encoding"
        raise _wrong_list(path, "a list in UTF-8", found) from error
    lines = text.splitlines()
    reader = csv.reader(lines, delimiter="\t" if lines and "\t" in lines[0] else ",", strict=True)
    count = 0
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if not any(cells) or (reader.line_num == 1 and cells[0].lower() in ("filename", "file")):
                continue
            if not cells[0]:
                raise _wrong_row(path, reader.line_num, "a file's name in the first column", "an empty cell")
            count += 1
            yield reader.line_num, cells
    except csv.Error as error:
        raise _wrong_row(path, reader.line_num, "columns separated by tabs or commas", str(error)) from error
    if not count:
        raise _wrong_list(path, "a file on each line", "no files")


def _inside(top: Path, file: str, path: Path, number: int) -> Path:
    """The path of a file that a list names."""
    parts = PurePosixPath(file)
    if parts.is_absolute() or ".." in parts.parts or "\0" in file or "\\" in file:
        raise _wrong_row(path, number, f"a path below {shown(top)}", shown(file))
    if not RECORDINGS.matches(file):
        raise _wrong_row(path, number, f"a WAV file ({', '.join(sorted(SUFFIXES))})", shown(file))
    found = top / name_path(file)
    if not found.is_file():
        raise _wrong_row(path, number, f"a recording that is there, below {shown(top)}", f"no file {shown(file)}")
    return found


def _tree(
    folder: Path,
    rows: dict[str, list[tuple[Path, str]]],
    where: str,
    others: int = 0,
    other_names: tuple[str, ...] = (),
) -> Tree:
    """The tree of recordings with named classes; every class must be in both splits.

    Args:
        folder: the folder above all recordings.
        rows: paths and classes, by split.
        where: what made the splits, for messages.
        others: the number of files that are not read.
        other_names: some of their names.
    """
    classes = {split: {label for _, label in pairs} for split, pairs in rows.items()}
    names = tuple(sorted(classes["train"] | classes["test"]))
    for split in rows:
        if missing := sorted(set(names) - classes[split]):
            raise InputError(
                f"a class is missing in the {split} split",
                expected=f"all of {listed(names)}",
                found=f"no recording of {listed(missing)}",
                where=where,
                fix="change the rule of the split, or remove the class",
            )
    if len(names) < 2:
        raise InputError(
            "recordings of fewer than two classes",
            expected="at least two classes",
            found=listed(names) or f"no files with names {', '.join(sorted(SUFFIXES))}",
            where=shown(folder),
            fix="give the folder that holds the recordings",
        )
    number = {name: label for label, name in enumerate(names)}
    splits = {split: [(path, number[label]) for path, label in pairs] for split, pairs in rows.items()}
    return Tree(folder, names, splits, others, other_names, RECORDINGS)


def _wrong_row(path: Path, number: int, expected: str, found: str) -> InputError:
    return _wrong_list(path, expected, found, f", line {number}")


def _wrong_list(path: Path, expected: str, found: str, line: str = "") -> InputError:
    return InputError(
        "a list of recordings can't be used",
        expected=expected,
        found=found,
        where=f"{shown(path)}{line}",
        fix="correct the list, or get it again",
    )

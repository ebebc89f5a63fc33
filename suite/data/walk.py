"""Listing the image files below a folder. Links are followed, but no file may be reached twice."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from stat import S_ISREG

from suite.data.decode import SUFFIXES
from suite.data.names import name_text, shown
from suite.errors import InputError

_NAMED = 5  # how many names of unread files are kept for the message

Identity = tuple[int, int]  # device and inode


class Walk:
    """Lists the folders of one data set and remembers those that were reached.

    A link to a folder or file outside of the data set is followed. A link to a part of the data set is refused, because
    images would be counted twice, under two classes or in both splits.

    Attributes:
        others: the number of files that are not read, because their names aren't those of images.
        other_names: some of those names.
    """

    def __init__(self, top: Path) -> None:
        """Start a walk. `top` is the folder that holds the splits."""
        self._top = top.resolve()
        self.others = 0
        self.other_names: list[str] = []
        self._reached: dict[Identity, Path] = {}
        self.enter(self._top)
        self._linked: list[Path] = []  # files that are links

    def enter(self, folder: Path) -> None:
        """Register a folder.

        Raises:
            InputError: the folder was reached before, or is a link to a folder above itself or above the data set.
        """
        if folder.is_symlink():
            resolved = folder.resolve()
            if any(below.is_relative_to(resolved) for below in (folder.parent.resolve(), self._top)):
                raise _refused("a link leads back to a folder above it", folder, f"{shown(folder)} → {shown(resolved)}")
        status = folder.stat()
        other = self._reached.setdefault((status.st_dev, status.st_ino), folder)
        if other is not folder:
            raise _twice("folder", folder, other)

    def folders(self, split: Path) -> list[Path]:
        """The class folders of a split, sorted by name, without hidden folders and macOS's own.

        Raises:
            InputError: a link is broken, or an image is outside of the class folders.
        """
        found = []
        for entry in _entries(split):
            if entry.name.startswith(".") or entry.name == "__MACOSX":
                continue
            if _is_folder(entry):
                found.append(Path(entry.path))
            elif _looks_like_image(entry.name):
                raise InputError(
                    "an image lies outside of the class folders",
                    expected="each image in the folder of its class",
                    found=shown(entry.name),
                    where=shown(split),
                    fix="move it into the folder of its class, or remove it",
                )
            else:
                self._leave_out(entry)
        return found

    def images(self, folder: Path) -> list[Path]:
        """The image files in a class folder and its subfolders, sorted. Call `enter` on the folder first.

        Raises:
            InputError: a link is broken, circular, or leads to a folder of the data set; a name is not UTF-8; or a
                path named like an image isn't a regular file.
        """
        found, waiting = [], [folder]
        while waiting:
            for entry in _entries(waiting.pop()):
                if _is_folder(entry):
                    subfolder = Path(entry.path)
                    self.enter(subfolder)
                    waiting.append(subfolder)
                elif entry.name.startswith("."):
                    continue
                elif not _looks_like_image(entry.name):
                    self._leave_out(entry)
                elif not entry.is_file():
                    raise _no_file(Path(entry.path))
                else:
                    name_text(entry.name, entry.path)
                    found.append(Path(entry.path))
                    if entry.is_symlink():
                        self._linked.append(found[-1])
        return sorted(found)

    def check_linked(self, files: Iterable[Path]) -> None:
        """Raise `InputError` if a linked file is the same as another file of the data set."""
        if not self._linked:
            return
        first: dict[Identity, Path] = {}
        links = set(self._linked)
        own = (path for path in files if path not in links)
        for path in (*own, *self._linked):
            status = path.stat()
            other = first.setdefault((status.st_dev, status.st_ino), path)
            if other is not path and path in links:
                raise _twice("file", path, other)

    def _leave_out(self, entry: os.DirEntry[str]) -> None:
        self.others += 1
        if len(self.other_names) < _NAMED:
            self.other_names.append(entry.name)


def is_regular(path: Path) -> bool:
    """Whether the path is a regular file or a link to one."""
    try:
        return S_ISREG(path.stat().st_mode)
    except OSError:
        return False


def _looks_like_image(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in SUFFIXES


def check_link(path: Path) -> None:
    """Raise `InputError` if the path is a broken link."""
    if path.is_symlink() and not os.path.exists(path):
        raise _dangling(path)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder or a link to one.

    Raises:
        InputError: the entry is a broken link whose name could be that of a folder or an image.
    """
    try:
        if entry.is_dir():
            return True
        dangling = entry.is_symlink() and not os.path.exists(entry.path)
    except OSError:  # circular links
        dangling = True
    if dangling and (_looks_like_image(entry.name) or not os.path.splitext(entry.name)[1]):
        raise _dangling(Path(entry.path))
    return False


def _dangling(link: Path) -> InputError:
    return InputError(
        "a link leads nowhere",
        expected="a link to a file or folder that is there",
        found=f"{shown(link)} → {shown(os.readlink(link))}",
        where=shown(link),
        fix="put back what it leads to, correct the link, or remove it",
    )


def _no_file(path: Path) -> InputError:
    return InputError(
        "what is named like an image is no file",
        expected="regular files, and links to them",
        found="a pipe, a socket or a device",
        where=shown(path),
        fix="remove it, or move it out of the folder",
    )


def _twice(kind: str, path: Path, other: Path) -> InputError:
    """The error for a file or folder that two paths reach; usually at least one path goes through a link.

    Args:
        kind: "file" or "folder".
        path: the path that reached it last.
        other: the path that reached it first.
    """
    link = _link_in(path, other) or _link_in(other, path) or path
    reached = path if link == _link_in(path, other) or link == path else other
    also = other if reached is path else path
    return _refused(
        f"a link leads to a {kind} that is part of the data set already",
        link,
        f"{shown(reached)} and {shown(also)} are the same {kind}",
    )


def _link_in(path: Path, other: Path) -> Path | None:
    """The innermost link among a path and its parent folders, except those that the other path shares; or None."""
    for place in (path, *path.parents):
        if other.is_relative_to(place):
            return None
        if place.is_symlink():
            return place
    return None


def _refused(what: str, link: Path, found: str) -> InputError:
    return InputError(
        what,
        expected="each picture once, in one class of one split; links to other folders are followed",
        found=found,
        where=shown(link),
        fix="remove the link, or let it lead to other pictures",
    )

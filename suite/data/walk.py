"""Listing image files (or files of another kind) below a folder. Links are followed; no file may be reached twice."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG

from suite.data.decode import SUFFIXES
from suite.data.names import name_text, shown
from suite.errors import InputError

_NAMED = 5  # how many names of unread files are kept for the message

Identity = tuple[int, int]  # device and inode


@dataclass(frozen=True)
class FileKind:
    """A kind of files, by their names: its noun with an article, its plural, and its suffixes in lower case."""

    one: str
    many: str
    suffixes: Collection[str]

    @property
    def noun(self) -> str:
        """The noun without its article."""
        return self.one.partition(" ")[2]

    def matches(self, name: str) -> bool:
        """Whether a file's name is of this kind."""
        return os.path.splitext(name)[1].lower() in self.suffixes


IMAGES = FileKind("an image", "images", SUFFIXES)


class Walk:
    """Lists the folders of one data set and remembers those that were reached.

    A link to a folder or file outside of the data set is followed. A link to a part of the data set is refused, because
    its files would be counted twice, under two classes or in both splits.

    Attributes:
        others: the number of files that are not read, because their names aren't those of the kind.
        other_names: some of those names.
    """

    def __init__(self, top: Path, kind: FileKind = IMAGES) -> None:
        """Start a walk. `top` is the folder that holds the splits; `kind` says which files are listed."""
        self._top, self._kind = top.resolve(), kind
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
            InputError: a link is broken, or a file of the kind is outside of the class folders.
        """
        found = []
        for entry in _entries(split):
            if entry.name.startswith(".") or entry.name == "__MACOSX":
                continue
            if _is_folder(entry, self._kind):
                found.append(Path(entry.path))
            elif self._kind.matches(entry.name):
                raise InputError(
                    f"{self._kind.one} lies outside of the class folders",
                    expected=f"each {self._kind.noun} in the folder of its class",
                    found=shown(entry.name),
                    where=shown(split),
                    fix="move it into the folder of its class, or remove it",
                )
            else:
                self._leave_out(entry)
        return found

    def files(self, folder: Path) -> list[Path]:
        """The files of the kind in a class folder and its subfolders, sorted. Call `enter` on the folder first.

        Raises:
            InputError: a link is broken, circular, or leads to a folder of the data set; a name is not UTF-8; or a
                path named like a file of the kind isn't a regular file.
        """
        found, waiting = [], [folder]
        while waiting:
            for entry in _entries(waiting.pop()):
                if _is_folder(entry, self._kind):
                    subfolder = Path(entry.path)
                    self.enter(subfolder)
                    waiting.append(subfolder)
                elif entry.name.startswith("."):
                    continue
                elif not self._kind.matches(entry.name):
                    self._leave_out(entry)
                elif not entry.is_file():
                    raise _no_file(Path(entry.path), self._kind)
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


def check_link(path: Path) -> None:
    """Raise `InputError` if the path is a broken link."""
    if path.is_symlink() and not os.path.exists(path):
        raise _dangling(path)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _is_folder(entry: os.DirEntry[str], kind: FileKind) -> bool:
    """Whether an entry is a folder or a link to one.

    Raises:
        InputError: the entry is a broken link whose name could be that of a folder or a file of the kind.
    """
    try:
        if entry.is_dir():
            return True
        dangling = entry.is_symlink() and not os.path.exists(entry.path)
    except OSError:  # circular links
        dangling = True
    if dangling and (kind.matches(entry.name) or not os.path.splitext(entry.name)[1]):
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


def _no_file(path: Path, kind: FileKind) -> InputError:
    return InputError(
        f"what is named like {kind.one} is no file",
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
        expected="each file once, in one class of one split; links to other folders are followed",
        found=found,
        where=shown(link),
        fix="remove the link, or let it lead to other files",
    )

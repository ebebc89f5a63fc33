"""Unpacking archives that somebody else made."""

from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path, PurePosixPath
from typing import IO, Any, BinaryIO, cast

from suite.data.decode import MOST_BYTES
from suite.data.names import shown
from suite.errors import InputError
from suite.store.files import cannot_write

# Pictures hardly compress. What unpacks to a hundred times its size was made to fill a disk.
MOST_UNPACKED = 2**30  # bytes in all; of an archive of more than 10 MiB, `MOST_RATIO` times its size
MOST_RATIO = 100
_PIECE = 2**20  # bytes that are read at once; more than one header of an entry has

# What the standard library raises for a damaged archive, or one with a password.
_DAMAGE = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, OSError, RuntimeError, ValueError, OverflowError, LookupError),
)
# An entry of this name can't be made in the folder: it is too long, or both a file and a folder.
_IMPOSSIBLE = (errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.EINVAL, errno.EILSEQ)

_COMPRESSED: dict[bytes, Callable[[BinaryIO], AbstractContextManager[Any]]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
}


def is_archive(path: Path) -> bool:
    """Whether a regular file is a zip archive, or a tar archive, compressed or not."""
    return zipfile.is_zipfile(path) or _is_tar(path)


def unpack(archive: Path, destination: Path) -> None:
    """Unpack the files of a zip or tar archive into `destination`. Owners, permissions and times are not taken over.

    Raises:
        InputError: an entry would be written outside of `destination`, or is neither file nor folder, or there are
            too many bytes (nothing is left to trust then: the whole archive is refused); the archive is damaged; the
            disk is full.
    """
    most = max(MOST_UNPACKED, MOST_RATIO * archive.stat().st_size)
    try:
        entries = _tar_files(archive, most) if _is_tar(archive) else _zip_files(archive, most)
        for name, content in entries:
            _write(destination, name, content, archive)
    except _DAMAGE as error:
        raise InputError(
            "an archive can't be unpacked",
            expected="a whole zip or tar archive without a password",
            found=shown(str(error) or type(error).__name__),
            where=shown(archive),
            fix="get a good copy, or unpack it yourself and give the folder",
        ) from error


def _tar_files(path: Path, most: int) -> Iterator[tuple[str, IO[bytes]]]:
    with _open_tar(path, most) as archive:
        total, last = 0, -1
        while (member := archive.next()) is not None:
            cast(Any, archive).members.clear()  # or it would keep all of them
            if member.offset <= last or member.size < 0:  # with a negative size, tarfile would read it for ever
                raise tarfile.ReadError("an entry of negative size")
            last = member.offset
            if member.isdir():
                continue
            file = archive.extractfile(member) if member.isreg() else None
            if file is None:
                raise _refused(path, member.name, "a link or a device")
            total += member.size
            _check_sizes(path, member.name, member.size, total, most)
            yield member.name, file


def _zip_files(path: Path, most: int) -> Iterator[tuple[str, IO[bytes]]]:
    with zipfile.ZipFile(path) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        total = 0
        for member in members:  # before anything is written; zipfile reads no more than these sizes
            total += member.file_size
            _check_sizes(path, member.filename, member.file_size, total, most)
        for member in members:
            with archive.open(member) as file:
                yield member.filename, file


class _Bounded:
    """A compressed file that gives at most so many bytes in all, and no large piece at once.

    tarfile reads long names and extended headers whole, however large they say that they are.
    """

    def __init__(self, file: BinaryIO, most: int | None) -> None:
        """most: bytes; None for a file that isn't compressed, which is as large as it is."""
        self._file, self._most, self._read = file, most, 0

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _PIECE:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        content = self._file.read(size)
        self._read += len(content)
        if self._most is not None and self._read > self._most:
            raise tarfile.ReadError("more bytes than an archive of pictures of this size holds")
        return content

    def seek(self, place: int) -> int:
        """What is skipped is decompressed, and counts."""
        ahead = 0 if self._most is None else place - self._file.tell()
        while ahead > 0 and (content := self.read(min(ahead, _PIECE))):
            ahead -= len(content)
        return self._file.tell() if ahead > 0 or place == self._file.tell() else self._file.seek(place)

    def tell(self) -> int:
        return self._file.tell()


def _is_tar(path: Path) -> bool:
    try:
        with _open_tar(path, MOST_UNPACKED):
            return True
    except _DAMAGE:
        return False


@contextmanager
def _open_tar(path: Path, most: int) -> Iterator[tarfile.TarFile]:
    with path.open("rb") as plain:
        start = plain.read(6)
        plain.seek(0)
        opener = next((opener for magic, opener in _COMPRESSED.items() if start.startswith(magic)), None)
        with nullcontext(plain) if opener is None else opener(plain) as file:
            bounded = _Bounded(cast(BinaryIO, file), None if opener is None else 2 * most)
            with tarfile.open(fileobj=cast(IO[bytes], bounded), mode="r:") as archive:
                yield archive


def _check_sizes(archive: Path, entry: str, size: int, total: int, most: int) -> None:
    if size > MOST_BYTES or total > most:
        raise InputError(
            "an archive unpacks to more than pictures need",
            expected=f"entries of at most {_mebibytes(MOST_BYTES)}, and {_mebibytes(most)} in all",
            found=f"{_mebibytes(size)} in {shown(entry)!r}, {_mebibytes(total)} up to there",
            where=shown(archive),
            fix="look at what it holds; unpack it yourself if it is what you expect, and give the folder",
        )


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB"


def _write(destination: Path, name: str, content: IO[bytes], archive: Path) -> None:
    target = destination / _inside(name, archive)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        file = target.open("wb")
    except OSError as error:
        if error.errno in _IMPOSSIBLE:
            raise _refused(archive, name, error.strerror or str(error)) from error
        raise cannot_write(target, error) from error
    with file:
        while piece := content.read(_PIECE):  # an error of reading: the archive is damaged
            try:
                file.write(piece)
                file.flush()
            except OSError as error:
                raise cannot_write(target, error) from error


def _inside(name: str, archive: Path) -> Path:
    """The entry's path, if it stays inside of the folder that it is unpacked to."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if not parts or ".." in parts or parts[0] == "/" or ":" in parts[0]:
        raise _refused(archive, name, "a path that leads out of the folder")
    if "\0" in name:
        raise _refused(archive, name, "a path with a NUL")
    return Path(*parts)


def _refused(archive: Path, entry: str, found: str) -> InputError:
    return InputError(
        "an archive that can't be trusted: nothing of it is used",
        expected="files and folders only, all inside of the archive, with names that the system takes",
        found=f"{found}: '{shown(entry)}'",
        where=shown(archive),
        fix="look at what it holds; unpack it yourself where that is safe, and give the folder",
    )

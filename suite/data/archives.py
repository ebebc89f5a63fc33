"""Unpacking archives from untrusted sources."""

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
from suite.store.disguises import AGAIN, START, foreign, not_sent
from suite.store.files import cannot_write

# Images hardly compress. An archive that unpacks to a hundred times its size is probably a decompression bomb.
MOST_UNPACKED = 2**30  # total bytes; for archives of more than 10 MiB, the limit is `MOST_RATIO` times their size
MOST_RATIO = 100
_PIECE = 2**20  # bytes that are read at once; larger than any entry's header

# The errors that the standard library raises for damaged or password-protected archives.
_DAMAGE = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, OSError, RuntimeError, ValueError, OverflowError, LookupError),
)
# Errors if an entry's name can't be created: it is too long, invalid, or used for both a file and a folder.
_IMPOSSIBLE = (errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.EINVAL, errno.EILSEQ)

_COMPRESSED: dict[bytes, Callable[[BinaryIO], AbstractContextManager[Any]]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
}


def is_archive(path: Path) -> bool:
    """Whether a regular file is a zip archive or a tar archive; tar archives may be compressed."""
    return zipfile.is_zipfile(path) or _is_tar(path)


def not_archive(path: Path) -> tuple[str, str]:
    """What a regular file is that isn't an archive, and what to do about it, as texts for messages."""
    with path.open("rb") as file:
        start = file.read(START)
    if sent := not_sent(start):
        return sent
    if start.startswith((b"PK\x03\x04", *_COMPRESSED)):
        return "an archive that is damaged or cut off", AGAIN
    name = foreign(start)
    return name or "another kind of file", "unpack it, and give the folder" if name else "check the path after --from"


def unpack(archive: Path, destination: Path) -> None:
    """Unpack the files of a zip or tar archive into `destination`. Owners, permissions and times are not restored.

    Raises:
        InputError: the archive can't be trusted: an entry would be written outside of `destination`, is neither a file
            nor a folder, or is too large. Or the archive is damaged, or the disk is full.
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
            cast(Any, archive).members.clear()  # tarfile would keep all members in memory
            if member.offset <= last or member.size < 0:  # tarfile would loop forever
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
        for member in members:  # check before anything is written; zipfile never reads more than these sizes
            total += member.file_size
            _check_sizes(path, member.filename, member.file_size, total, most)
        for member in members:
            with archive.open(member) as file:
                yield member.filename, file


class _Bounded:
    """A file for tarfile that limits the total bytes read from a compressed archive, and the bytes per read.

    tarfile reads long names and extended headers at once, whatever size they declare.
    """

    def __init__(self, file: BinaryIO, most: int | None) -> None:
        """Wrap a file. `most` is the limit in bytes; None for an uncompressed file, whose size is known."""
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
        """Move to a place. In a compressed file, skipped bytes are decompressed and count towards the limit."""
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
        while piece := content.read(_PIECE):  # errors of this read mean a damaged archive; `unpack` handles them
            try:
                file.write(piece)
                file.flush()
            except OSError as error:
                raise cannot_write(target, error) from error


def _inside(name: str, archive: Path) -> Path:
    """An entry's relative path. Raises `InputError` if it leads out of the destination folder."""
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

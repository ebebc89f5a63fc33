"""Unpacking archives that somebody else made."""

from __future__ import annotations

import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from suite.errors import InputError
from suite.store.files import cannot_write

# What the standard library raises for a damaged archive, or one with a password.
_DAMAGE = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError)


def is_archive(path: Path) -> bool:
    """Whether a file is a zip archive, or a tar archive, compressed or not."""
    return zipfile.is_zipfile(path) or tarfile.is_tarfile(path)


def unpack(archive: Path, destination: Path) -> None:
    """Unpack the files of a zip or tar archive into `destination`. Owners, permissions and times are not taken over.

    Raises:
        InputError: an entry would be written outside of `destination` or is neither file nor folder (nothing is
            left to trust then: the whole archive is refused); the archive is damaged; the disk is full.
    """
    entries = _tar_files(archive) if tarfile.is_tarfile(archive) else _zip_files(archive)
    try:
        for name, content in entries:
            _write(destination / _inside(name, archive), content)
    except _DAMAGE as error:
        raise InputError(
            "an archive can't be unpacked",
            expected="a whole zip or tar archive without a password",
            found=str(error) or type(error).__name__,
            where=str(archive),
            fix="get a good copy, or unpack it yourself and give the folder",
        ) from error


def _tar_files(path: Path) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(path) as archive:
        for member in archive:
            if member.isdir():
                continue
            file = archive.extractfile(member) if member.isreg() else None
            if file is None:
                raise _refused(path, member.name, "a link or a device")
            yield member.name, file.read()


def _zip_files(path: Path) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if not member.is_dir():
                yield member.filename, archive.read(member)


def _inside(name: str, archive: Path) -> Path:
    """The entry's path, if it stays inside of the folder that it is unpacked to."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if not parts or ".." in parts or parts[0] == "/" or ":" in parts[0]:
        raise _refused(archive, name, "a path that leads out of the folder")
    return Path(*parts)


def _write(target: Path, content: bytes) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    except OSError as error:
        raise cannot_write(target, error) from error


def _refused(archive: Path, entry: str, found: str) -> InputError:
    return InputError(
        "an archive that can't be trusted: nothing of it is used",
        expected="files and folders only, all inside of the archive",
        found=f"{found}: {entry!r}",
        where=str(archive),
        fix="look at what it holds; unpack it yourself where that is safe, and give the folder",
    )

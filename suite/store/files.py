"""Reading files of strangers, and writing so that a crash, a kill or a full disk leaves the old file or the new one."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import NoReturn

from suite.errors import InputError, first_line

RESULTS = Path("results")  # the folder of all grids' results, unless a command names another


def write_atomic(path: Path, content: bytes) -> None:
    """Write a file under a temporary name in its own folder, flush it to the disk, and rename it.

    Raises:
        InputError: the folder can't be written or the disk is full; the old file, if any, is untouched.
    """
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # mkstemp makes files that only their owner can read
        os.replace(temporary, path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def write_texts(texts: Mapping[str, str], folder: Path) -> list[Path]:
    """Write each text to the file of its name in the folder; raises `InputError` if a file can't be written."""
    for name, text in texts.items():
        write_atomic(folder / name, text.encode())
    return [folder / name for name in texts]


def read_regular(path: Path, largest: int) -> bytes | None:
    """A file's bytes, at most `largest` of them; None if there is no file.

    Raises:
        InputError: the file can't be read, is larger, or isn't a regular file.
    """
    with open_regular(path, largest) as file:
        return None if file is None else file.read()


@contextmanager
def open_regular(path: Path, largest: int) -> Iterator[BufferedReader | None]:
    """Open a file of at most `largest` bytes for reading; None if there is no file.

    Raises:
        InputError: the file can't be read, is larger, or isn't a regular file. (Reading a pipe could wait forever.)
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        yield None
        return
    except OSError as error:
        raise cannot_read(path, error.strerror or str(error)) from None
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode) or found.st_size > largest:
        os.close(handle)
        kind = "a folder" if stat.S_ISDIR(found.st_mode) else "something else"
        raise cannot_read(path, f"more than {largest:,} bytes" if stat.S_ISREG(found.st_mode) else kind)
    with os.fdopen(handle, "rb") as file:
        try:
            yield file
        except OSError as error:
            raise cannot_read(path, error.strerror or str(error)) from None


@contextmanager
def opened(path: Path) -> Iterator[BufferedReader]:
    """Open a regular file for reading. A pipe is refused, because its reader could wait forever.

    Raises:
        OSError: the path can't be opened, or isn't a regular file; its `strerror` says what it is.
        ValueError: the path has a null character.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") if stat.S_ISREG(os.fstat(handle).st_mode) else _irregular(handle) as file:
        yield file


def _irregular(handle: int) -> NoReturn:
    folder = stat.S_ISDIR(os.fstat(handle).st_mode)
    os.close(handle)
    if folder:
        raise IsADirectoryError(errno.EISDIR, "a folder")
    raise OSError(errno.EINVAL, "a pipe, a socket or a device, and not a regular file")


def check_inside(path: Path, folder: Path) -> None:
    """Raise `InputError` if a link leads a path out of its folder, or in a circle."""
    try:
        target = path.resolve()
        if target.is_relative_to(folder.resolve()):
            return
        found = str(target)
    except (OSError, RuntimeError) as error:  # links in a circle
        found = first_line(error)
    raise InputError(
        "a link leads out of a folder of results",
        expected="files that are in the folder: a folder from somebody else must not reach into yours",
        found=f"{path.name} → {found}",
        where=str(path),
        fix="put the file itself there; or link the whole folder of results, not what is in it",
    )


def resolved(folder: Path) -> Path:
    """A folder's path, absolute and without links. Raises `InputError` if links lead in a circle."""
    try:
        return folder.resolve()
    except (OSError, RuntimeError) as error:
        raise _no_folder(folder, first_line(error)) from None


def real_path(path: Path) -> Path:
    """A path, absolute and without links. A link that leads back to itself stays; `Path.resolve` may raise an error."""
    return Path(os.path.realpath(path))


def check_folder(folder: Path) -> None:
    """Raise `InputError` if a file stands in the place of the folder or of one of its parents."""
    for place in (folder, *folder.parents):
        try:
            is_folder = stat.S_ISDIR(place.stat().st_mode)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:  # a name that is too long, say
            raise _no_folder(folder, error.strerror or str(error)) from None
        if not is_folder:
            raise _no_folder(folder, f"{place} is a file")
        return


def make_folder(folder: Path) -> None:
    """Make a folder to write into. Raises `InputError` if it can't be made or written."""
    check_folder(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise cannot_write(folder / "file", error) from None


def make_place(path: Path) -> None:
    """Make the folder of a file that will be written. Raises `InputError` if it can't be, or a folder has its name."""
    if os.path.isdir(path):
        raise _folder_in_place(path)
    make_folder(path.parent)


def _folder_in_place(path: Path) -> InputError:
    return InputError(
        "a folder where a file is to be written",
        expected="the name of a file, new or not",
        found="the name of a folder",
        where=str(path),
        fix="give the name of a file, or move the folder away",
    )


def _no_folder(folder: Path, found: str) -> InputError:
    return InputError(
        "not a folder",
        expected="a folder, or a place where one can be made",
        found=found,
        where=str(folder),
        fix="choose another folder, or move away what stands there",
    )


def cannot_write(path: Path, error: OSError) -> InputError:
    """The message for a file that can't be written: a folder has its name, or the reason that the system gave."""
    if error.errno in (errno.EISDIR, errno.EBUSY) and os.path.isdir(path):
        return _folder_in_place(path)
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return InputError(
        "the disk is full" if full else "can't write to the folder",
        expected="room for one more file" if full else "a folder that can be written",
        found=error.strerror or str(error),
        where=str(path.parent),
        fix="free some space and run the same command again; what was stored is unharmed"
        if full
        else "change the folder's permissions, or choose another folder",
    )


def cannot_read(path: Path, found: str) -> InputError:
    """The message for a file of results that can't be read, with what was found."""
    return InputError(
        "a file of results can't be read",
        expected="a regular file of sensible size",
        found=found,
        where=str(path),
        fix="move it away, or change its permissions",
    )

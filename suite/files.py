"""Writing files so that a crash, a kill or a full disk leaves either the old file or the new one."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from pathlib import Path

from suite.errors import InputError


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


def check_folder(folder: Path) -> None:
    """Raise `InputError` if there is, and can be, no such folder: a file stands in its place, or above it."""
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
    """Make a folder to write into, or say by `InputError` now that it can't be."""
    check_folder(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise cannot_write(folder / "file", error) from None


def _no_folder(folder: Path, found: str) -> InputError:
    return InputError(
        "not a folder",
        expected="a folder, or a place where one can be made",
        found=found,
        where=str(folder),
        fix="choose another folder, or move away what stands there",
    )


def cannot_write(path: Path, error: OSError) -> InputError:
    """The message for a file that can't be written, with the reason that the system gave."""
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

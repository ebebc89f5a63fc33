"""Writing files so that a crash, a kill or a full disk leaves either the old file or the new one."""

from __future__ import annotations

import errno
import os
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

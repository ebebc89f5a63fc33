"""Reading files that are files: no pipes, sockets or devices, and none that is too large."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from stat import S_ISREG
from typing import BinaryIO

PERMISSIONS = "change the permissions of this file, or of the folders above it"  # what to do if reading isn't allowed


@contextmanager
def open_regular(path: Path, most: int) -> Iterator[BinaryIO]:
    """Open a regular file. Opening is non-blocking, in case the file was replaced by a pipe since it was listed.

    Raises:
        OSError: it isn't a regular file, or has more than `most` bytes.
    """
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with open(handle, "rb") as file:
        status = os.fstat(handle)
        if not S_ISREG(status.st_mode):
            raise OSError("no regular file, but a folder, a pipe, a socket or a device")
        if status.st_size > most:
            raise OSError(f"a file of {status.st_size:,} bytes, of at most {most:,}")
        yield file


def read_regular(path: Path, most: int) -> bytes:
    """The bytes of a regular file of at most `most` bytes. Raises `OSError` for anything else."""
    with open_regular(path, most) as file:
        return file.read()

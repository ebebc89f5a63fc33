"""What a file is, by its first bytes, when it isn't what its name says: a pointer, a web page, or another format."""

from __future__ import annotations

import re
from typing import NamedTuple

START = 512  # bytes that are examined
AGAIN = "compare its size and checksum with the published ones, and download it again"

_FOREIGN = {
    b"\x1f\x8b": "a gzip archive",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ\x00": "an xz archive",
    b"\x28\xb5\x2f\xfd": "a zstd archive",
    b"Rar!": "a RAR archive",
    b"7z\xbc\xaf": "a 7z archive",
    b"\x89HDF\r\n": "a file in HDF5, as Keras writes it",
    b"\x93NUMPY": "an array in NumPy's format",
    b"GGUF": "a file in GGUF",
    b"%PDF": "a PDF document",
    b"%!PS": "a PostScript document",
    b"\x7fELF": "a program",
    b"\x89PNG\r\n": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
}
_PAGE = (b"<!doctype html", b"<html", b"<head", b"<?xml", b"<!--", b"<body")


class Disguise(NamedTuple):
    """What a file is, and what the user can do about it."""

    name: str
    fix: str


def not_sent(start: bytes, empty: str = AGAIN) -> Disguise | None:
    """What a server or Git sent instead of the file: nothing, a pointer, a web page, an error; None if it sent a file.

    Args:
        start: the file's first `START` bytes.
        empty: what to do about an empty file. `AGAIN` is for published files: one's own have no published checksum.
    """
    if not start:
        return Disguise("an empty file", empty)
    if start.startswith(b"version https://git-lfs"):
        named = re.search(rb"\nsize (\d{1,15})\n", start)
        of = f" for a file of {int(named[1]):,} bytes" if named else ""
        return Disguise(f"a Git LFS pointer{of}", "run `git lfs pull` in its repository, or download the file itself")
    wide = start.startswith((b"\xff\xfe", b"\xfe\xff"))
    text = (start.replace(b"\x00", b"")[2:] if wide else start.removeprefix(b"\xef\xbb\xbf")).lstrip().lower()
    if text.startswith(_PAGE):
        return Disguise("a web page", "open it in a browser: it may say why the file wasn't sent; then download that")
    if text.startswith((b"{", b"[")):
        return Disguise("a text, perhaps a server's answer in JSON", "read what it says, and download the file itself")
    return None


def foreign(start: bytes) -> str | None:
    """The name of another format, by a file's first `START` bytes; None if it isn't a known one."""
    if start[257:262] == b"ustar":
        return "a tar archive"
    return next((name for magic, name in _FOREIGN.items() if start.startswith(magic)), None)


def beginning(start: bytes) -> str:
    """The first bytes of a file of an unknown kind, as a text for messages."""
    return f"a file of an unknown kind, which begins with {start[:24].decode('latin-1')!a}"

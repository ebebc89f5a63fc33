"""Detection of a weight file's format from its first bytes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

_AGAIN = "compare its size and checksum with the published ones, and download it again"
_START = 512  # bytes that are examined


class Kind(NamedTuple):
    """A kind of file.

    Attributes:
        readable: the reader to use, "safetensors" or "torch"; None if the file can't be read.
        name: the kind's name for messages.
        fix: what the user can do if the file can't be read.
    """

    readable: str | None
    name: str
    fix: str = _AGAIN


_FOREIGN = {
    b"\x1f\x8b": "a gzip archive",
    b"\x89HDF\r\n": "a file in HDF5, as Keras writes it",
    b"\x93NUMPY": "an array in NumPy's format",
    b"GGUF": "a file in GGUF",
    b"%PDF": "a PDF document",
    b"Rar!": "a RAR archive",
    b"7z\xbc\xaf": "a 7z archive",
}
_SAFETENSORS = Kind("safetensors", "a file of safetensors")
TORCH = Kind("torch", "a zip archive, as torch.save writes it")
_UNKNOWN = Kind("torch", "a file of an unknown kind")  # includes torch.save's old format


def kind_of(path: Path) -> Kind:
    """The kind of a file by its content; the suffix is ignored. Unknown kinds are left to torch's reader."""
    with path.open("rb") as file:
        start = file.read(_START)
    size = path.stat().st_size
    if not start:
        return Kind(None, "an empty file")
    if start.startswith(b"version https://git-lfs"):
        named = re.search(rb"\nsize (\d{1,15})\n", start)
        of = f" for a file of {int(named[1]):,} bytes" if named else ""
        return Kind(None, f"a Git LFS pointer{of}", "run `git lfs pull` in its repository, or download the file itself")
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<?xml", b"<!--", b"<body")):
        return Kind(None, "a web page", "open it in a browser: it may say why the file wasn't sent; then download that")
    if text.startswith((b"{", b"[")):
        return Kind(
            None, "a text, perhaps a server's answer in JSON", "read what it says, and download the file itself"
        )
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") < 2**40:
        return _SAFETENSORS
    for magic, name in _FOREIGN.items():
        if start.startswith(magic):
            return Kind(None, name, "convert it where it comes from: save model.state_dict() with safetensors")
    if size >= 2 and start[0] == 0x80 and start[1] in (3, 4, 5):
        return Kind("torch", f"a pickle of protocol {start[1]}, which torch.save doesn't write")
    return TORCH if start.startswith(b"PK\x03\x04") else _UNKNOWN

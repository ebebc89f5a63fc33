"""Detection of a weight file's format from its first bytes."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from suite.store.disguises import AGAIN, START, beginning, foreign, not_sent


class Kind(NamedTuple):
    """A kind of file.

    Attributes:
        readable: the reader to use, "safetensors" or "torch"; None if the file can't be read.
        name: the kind's name for messages.
        fix: what the user can do if the file can't be read.
    """

    readable: str | None
    name: str
    fix: str = AGAIN


_SAFETENSORS = Kind("safetensors", "a file of safetensors")
TORCH = Kind("torch", "a zip archive, as torch.save writes it")


def kind_of(path: Path) -> Kind:
    """The kind of a file by its content; the suffix is ignored. Unknown kinds are left to torch's reader."""
    with path.open("rb") as file:
        start = file.read(START)
    if sent := not_sent(start):
        return Kind(None, *sent)
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") < 2**40:
        return _SAFETENSORS
    if name := foreign(start):
        return Kind(None, name, "convert it where it comes from: save model.state_dict() with safetensors")
    if start[0] == 0x80 and start[1:2] in (b"\x03", b"\x04", b"\x05"):
        return Kind("torch", f"a pickle of protocol {start[1]}, which torch.save doesn't write")
    if start.startswith(b"\x80\x02"):
        return Kind("torch", "a pickle, as torch.save wrote it before torch 1.6")
    return TORCH if start.startswith(b"PK\x03\x04") else Kind("torch", beginning(start))

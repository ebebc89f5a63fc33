"""Numbered versions of an object, such as a checkpoint: checked when they are read, the last two kept.

A version is an object `NAME.NUMBER.CHECKSUM.safetensors`. Nothing is renamed and no other object points to it, so any
storage will do: an incomplete object fails its checksum, and the version before it is used instead. Numbers, not
times, say which version is newer: the clocks of machines differ, and may be set back.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator
from contextlib import suppress

from suite.errors import InputError
from suite.store.storage import Place

KEPT = 2
_NAME = re.compile(r"([0-9a-f]{16})\.([0-9]{6,12})\.([0-9a-f]{16})\.safetensors")


class Versions:
    """The versions of one thing, by its id of 16 hex digits."""

    def __init__(self, place: Place, name: str) -> None:
        self.place, self.name = place, name
        self._held: list[tuple[int, str]] | None = None  # ascending, once it is known

    def newest_first(self) -> Iterator[bytes | None]:
        """The versions, read one at a time; None for one that is damaged.

        Raises:
            InputError: the place can't be read.
        """
        for _, name in reversed(self._list()):
            content = self.place.read(name)
            if content is not None:
                yield content if _checksum(content) == name.split(".")[2] else None

    def add(self, content: bytes) -> None:
        """Store another version, then remove all but the last two.

        Raises:
            InputError: it can't be written. The older ones are still there.
        """
        held = self._list()
        number = held[-1][0] + 1 if held else 1
        name = f"{self.name}.{number:06}.{_checksum(content)}.safetensors"
        self.place.write(name, content)
        held.append((number, name))
        with suppress(InputError):  # what is too many goes with the next one
            self.place.remove([name for _, name in held[:-KEPT]])
            del held[:-KEPT]

    def clear(self) -> None:
        """Remove all versions. Raises `InputError` if that fails."""
        self._held = None
        self.place.remove([name for _, name in self._list()])
        self._held = None

    def _list(self) -> list[tuple[int, str]]:
        if self._held is None:
            found = (_NAME.fullmatch(name) for name in self.place.names())
            self._held = sorted((int(one[2]), one[0]) for one in found if one is not None and one[1] == self.name)
        return self._held


def sweep(place: Place, ended: Collection[str]) -> None:
    """Remove the versions of the ids in `ended`. Raises `InputError` if that fails."""
    found = (_NAME.fullmatch(name) for name in place.names())
    place.remove([one[0] for one in found if one is not None and one[1] in ended])


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]

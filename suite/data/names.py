"""Names of files and folders as text: independent of the locale, and safe to print."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from suite.errors import InputError


def name_text(path: str | Path, where: str | Path | None = None) -> str:
    """A path or a part of one as text, with forward slashes.

    The system's bytes are decoded as UTF-8 in every locale, so classes have the same names on all machines.

    Args:
        path: the path.
        where: the complete path, for the error message; by default `path`.

    Raises:
        InputError: the bytes aren't UTF-8.
    """
    text = path.as_posix() if isinstance(path, Path) else path
    if text.isascii():
        return text
    try:
        return os.fsencode(text).decode("utf-8")
    except UnicodeError:
        raise InputError(
            "the name of a file or folder is not UTF-8",
            expected="names in UTF-8",
            found=shown(Path(text).name),
            where=shown(text if where is None else where),
            fix="rename it; `convmv -r -f latin1 -t utf-8 FOLDER` lists what it would rename if the names are Latin-1",
        ) from None


def name_path(text: str) -> str:
    """The inverse of `name_text`: the path with which this process can open the file."""
    return text if text.isascii() else os.fsdecode(text.encode("utf-8"))


def shown(path: str | Path) -> str:
    """A path or name for messages. Unprintable characters are escaped, so it can't control a terminal or hide text."""
    text = str(path)
    with suppress(UnicodeError):
        text = os.fsencode(text).decode("utf-8", "backslashreplace")
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def composed(name: str) -> str:
    """The name in Unicode normal form NFC. Names that differ only in their normal form become equal."""
    return unicodedata.normalize("NFC", name)


def code_points(name: str) -> str:
    r"""A name with every non-ASCII character escaped, such as 'caf\xe9'."""
    return ascii(name)


def listed(names: Iterable[str], at_most: int = 5) -> str:
    """The first names and the number of the others, as a text for messages."""
    all_names = [shown(name) for name in names]
    more = f" and {len(all_names) - at_most} more" if len(all_names) > at_most else ""
    return ", ".join(all_names[:at_most]) + more

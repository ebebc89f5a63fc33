"""The cache of drawings: a report draws only the figures that have changed.

Drawings are cached in the user's cache folder, not in the report's folder. So a report folder from an untrusted source
can't insert its pictures into a new report. The file name of a cached drawing is the hash of all its inputs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

from suite.errors import InputError
from suite.store.files import read_regular, write_atomic

MOST_KEPT = 2_000  # drawings, each of 10 to 20 kB
_LARGEST = 2**24  # bytes; larger files are not read as drawings


def drawn(inputs: Mapping[str, object], draw: Callable[[Sequence[str]], Mapping[str, str]]) -> dict[str, str]:
    """Each figure as SVG, by its name. A figure that was drawn before from the same input is read from the cache.

    Args:
        inputs: for each name, everything that the figure shows. Equal inputs must have the same `repr`.
        draw: draws the figures with the given names.
    """
    files = {name: cache_folder() / f"{_fingerprint(name, shown)}.svg" for name, shown in inputs.items()}
    kept = {name: text for name, path in files.items() if (text := _read(path))}
    fresh = draw([name for name in inputs if name not in kept]) if len(kept) < len(inputs) else {}
    for name, text in fresh.items():
        with suppress(InputError, OSError):  # a report works without the cache
            write_atomic(files[name], text.encode())
    if fresh:
        _forget_oldest()
    return {name: kept.get(name) or fresh[name] for name in inputs}


def cache_folder() -> Path:
    """The folder of the cache: `lape-figures` in $XDG_CACHE_HOME or ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "lape-figures"


def _read(path: Path) -> str:
    """A cached drawing; an empty string if the file is missing or invalid."""
    with suppress(InputError, OSError, ValueError):
        text = (read_regular(path, _LARGEST) or b"").decode()
        if text.startswith("<svg") and text.rstrip().endswith("</svg>"):
            return text
    return ""


def _fingerprint(name: str, shown: object) -> str:
    return sha256("\0".join((_drawn_by(), name, repr(shown))).encode()).hexdigest()


@cache
def _drawn_by() -> str:
    """A key for everything else that a drawing depends on: the version of matplotlib, and the drawing code."""
    code = sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        code.update(path.read_bytes())
    return f"{version('matplotlib')} {code.hexdigest()}"


def _forget_oldest() -> None:
    with suppress(OSError):
        files = sorted(cache_folder().glob("*.svg"), key=lambda path: path.stat().st_mtime)
        for path in files[:-MOST_KEPT]:
            path.unlink(missing_ok=True)

"""The real command line, run in the test's own process."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from suite.cli import main
from suite.grid.methods import loaded_files, unload

Write = Callable[..., Path]

# A method file.
JOIN = '''from suite.methods import Terms, join


@join(source="a paper")
def halved(tables, maps):
    """Half of the position before every block."""
    return Terms(stream=[tables[0] / 2] * len(maps))
'''

# Options of the smallest transformer, and of small images for it.
TINY = [
    part
    for size in ("patch_size=4", "embed_dim=8", "depth=2", "num_heads=2", "mlp_ratio=1")
    for part in ("--size", size)
]
SHAPE = ["--image-size", "8", "--classes", "7", "--channels", "1"]


@contextmanager
def forgotten() -> Iterator[None]:
    """At the end, the method files that were loaded meanwhile are loaded no more."""
    before = loaded_files()
    try:
        yield
    finally:
        unload(file for file in loaded_files() if file not in before)


class Shell:
    """Runs `lape` in this process, in a folder of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys
        self.code = 0
        self.out = self.err = ""

    def __call__(self, *arguments: str | Path) -> str:
        self._monkeypatch.setattr(sys, "argv", ["lape", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        self.code = stop.value.code or 0  # type: ignore[assignment]
        self.out, self.err = self._capsys.readouterr()
        return self.out

    def refuses(self, *arguments: str | Path) -> str:
        """The one message of a command that ends with 2; it has every part, and no traceback."""
        self(*arguments)
        assert self.code == 2, self.out + self.err
        assert self.err.startswith("error: ")
        for part in ("expected:", "found:", "where:", "what to do:"):
            assert part in self.err, self.err
        assert "Traceback" not in self.err
        return self.err

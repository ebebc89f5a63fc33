"""Figures that aren't drawn again."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from suite.report.figures import kept
from suite.report.figures.kept import cache_folder, drawn


class Pencil:
    """Draws each name as its input, and notes what it drew."""

    def __init__(self) -> None:
        self.drew: list[str] = []

    def draw(self, inputs: Mapping[str, object]) -> dict[str, str]:
        def svg(names: Sequence[str]) -> dict[str, str]:
            self.drew += names
            return {name: f"<svg>{inputs[name]}</svg>\n" for name in names}

        return drawn(inputs, svg)


def test_only_what_changed_is_drawn() -> None:
    pencil = Pencil()
    first = pencil.draw({"a": 1, "b": 2.5})
    assert pencil.draw({"a": 1, "b": 2.5}) == first == {"a": "<svg>1</svg>\n", "b": "<svg>2.5</svg>\n"}
    assert pencil.drew == ["a", "b"]
    assert pencil.draw({"a": 1, "b": 3.5})["b"] == "<svg>3.5</svg>\n"
    assert pencil.drew == ["a", "b", "b"]
    assert list(pencil.draw({"b": 1, "a": 1})) == ["b", "a"]  # another name is another drawing: its ids differ
    assert pencil.drew == ["a", "b", "b", "b"]


def test_other_code_draws_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    pencil = Pencil()
    pencil.draw({"a": 1})
    monkeypatch.setattr(kept, "_drawn_by", lambda: "another version")
    pencil.draw({"a": 1})
    assert pencil.drew == ["a", "a"]


@pytest.mark.parametrize("content", [b"", b"<svg>cut o", b"\xff\xfe", b"<html></svg>"])
def test_a_damaged_drawing_is_drawn_anew(content: bytes) -> None:
    pencil = Pencil()
    pencil.draw({"a": 1})
    (path,) = cache_folder().glob("*.svg")
    path.write_bytes(content)
    assert pencil.draw({"a": 1}) == {"a": "<svg>1</svg>\n"}
    assert pencil.drew == ["a", "a"]
    assert path.read_text() == "<svg>1</svg>\n"


def test_a_cache_that_cant_be_written_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    pencil = Pencil()
    assert pencil.draw({"a": 1}) == pencil.draw({"a": 1}) == {"a": "<svg>1</svg>\n"}
    assert pencil.drew == ["a", "a"]


def test_the_cache_doesnt_grow_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MOST_KEPT", 3)
    pencil = Pencil()
    for number in range(5):
        pencil.draw({"a": number})
        for path in cache_folder().glob("*.svg"):
            os.utime(path, (path.stat().st_mtime - 10, path.stat().st_mtime - 10))
    assert len(list(cache_folder().glob("*.svg"))) == 3
    pencil.draw({"a": 4})
    assert pencil.drew == ["a"] * 5  # the newest are kept

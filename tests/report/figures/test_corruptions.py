"""The figure of the gain on each kind of corruption."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from suite.report.figures.corruptions import draw_kinds
from suite.report.tables.corruptions import kind_gains
from suite.store.frames import to_columns
from tests.corrupted import records_of


def test_each_kind_has_its_line(
    write_grid: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (found,) = kind_gains(to_columns(records_of(write_grid)))
    assert list(found.gains) == ["all", "fog", "contrast"]
    assert found.gains["fog"].mean == pytest.approx(100 / 9)
    assert (found.title, found.treatment) == ("pictures tiny learnable: lape vs default", "lape")
    (drawing,) = draw_kinds([found]).values()
    assert all(f">{kind}</text>" in drawing for kind in found.gains)
    assert draw_kinds(kind_gains(to_columns([]))) == {}

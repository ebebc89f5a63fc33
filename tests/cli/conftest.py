"""The command line in a folder of its own, and a grid with records."""

from __future__ import annotations

from pathlib import Path

import pytest

from suite.grid.grid import load_grid
from suite.store.folder import Store
from tests.cli.shell import Write
from tests.records import make_record


@pytest.fixture
def finished(write_grid: Write, tmp_path: Path) -> Path:
    """A grid whose trials all have records, without training."""
    path = write_grid()
    store = Store(tmp_path / "results" / "small")
    for index, trial in enumerate(load_grid(path).expand().trials):
        store.put(make_record(trial, 80.0 + index))
    store.collect()
    return path

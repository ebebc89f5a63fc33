"""Trials of a small grid, and a folder that keeps their records."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from suite.grid.grid import load_grid
from suite.grid.trial import Trial
from suite.store.folder import Store
from tests.records import make_record


@pytest.fixture
def trials(write_grid: Callable[..., Path]) -> list[Trial]:
    return list(load_grid(write_grid(("[0, 1]", "[0, 1, 2]"))).expand().trials)


@pytest.fixture
def kept(tmp_path: Path, trials: list[Trial]) -> Store:
    """A store that holds the runs of all trials, folded."""
    kept = Store(tmp_path / "results")
    for trial in trials:
        kept.put(make_record(trial))
    kept.collect()
    return kept

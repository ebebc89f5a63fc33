"""One attempt at trials: what it does without."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from suite.grid.grid import load_grid
from suite.models.model import Model
from suite.train import attempt
from suite.train.machine import Machine
from suite.train.trials import run_trial


def test_a_model_whose_macs_cant_be_counted_is_trained_without_the_count(
    write_grid: Callable[..., Path], machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt, "_MACS", {})
    monkeypatch.setattr(Model, "head_input", lambda self, pooled: pooled.atan())
    trial = load_grid(write_grid()).expand().trials[0]
    with pytest.warns(UserWarning, match=r"(?s)its record has no MACs: .*aten::atan"):
        record = run_trial(trial, machine)
    assert (record.status, record.macs) == ("done", None)
    assert record.params is not None

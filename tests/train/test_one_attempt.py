"""What a record says of an attempt, besides its results."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from suite.grid.grid import load_grid
from suite.train.attempt import Attempt
from suite.train.machine import Machine
from suite.train.trials import run_trial

Write = Callable[..., Path]


def test_a_record_has_the_code_that_was_at_hand_when_the_training_began(
    write_grid: Write, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files may be edited, or replaced by another version, while a trial is trained."""
    trial = load_grid(write_grid()).expand().trials[0]
    now, train = ["0" * 16], Attempt.train

    def edited(attempt: Attempt) -> None:
        train(attempt)
        now[0] = "1" * 16

    monkeypatch.setattr("suite.grid.trial.level_fingerprints", lambda arch, levels: {"arch": now[0]})
    monkeypatch.setattr(Attempt, "train", edited)
    assert run_trial(trial, machine).code == {"arch": "0" * 16}
    assert now == ["1" * 16]

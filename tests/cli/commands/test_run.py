"""What `lape run` says at its end, and refuses at its beginning."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from suite.cli.commands.rerun import rerun_trial
from suite.cli.commands.run import _changed
from suite.errors import InputError
from suite.report.workspace import Workspace, open_workspace
from suite.train.faults import MachineFault
from suite.train.machine import Machine

Write = Callable[..., Path]


@pytest.fixture
def opened(write_grid: Write, tmp_path: Path) -> Workspace:
    return open_workspace(str(write_grid()), ["recipe.lr=2e-3"], 3, tmp_path / "results", tmp_path / "reports")


def test_a_grid_that_stayed_as_it_was_is_not_spoken_of(opened: Workspace) -> None:
    assert _changed(opened) == []


def test_a_grid_that_changed_while_it_ran(opened: Workspace, write_grid: Write) -> None:
    write_grid(("join: [default, lape]", "join: [default, lape, shared]"), ("pe: [learnable]", "pe: [sin1d]"))
    (line,) = _changed(opened)
    assert "9 trials are new, 6 no longer in it" in line
    assert f"`{opened.command}` runs what is new" in line


def test_a_grid_that_was_broken_or_removed_while_it_ran(opened: Workspace, write_grid: Write) -> None:
    path = write_grid(("axes:", "axis:"))
    (line,) = _changed(opened)
    assert "can't be read now" in line
    assert "what ran is kept" in line
    path.unlink()
    assert "can't be read now" in _changed(opened)[0]


def test_a_rerun_on_a_machine_that_fails_says_so(
    opened: Workspace, tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise MachineFault("Traceback\nOSError: Input/output error", "gpu-1")

    monkeypatch.setattr("suite.train.trials.train_trials", fail)
    path, trial = str(opened.grid.document.path), opened.expansion.trials[0]
    with pytest.raises(InputError, match=r"the machine failed, not the trial[\s\S]*Input/output error[\s\S]*gpu-1"):
        rerun_trial(trial.id, path, ["recipe.lr=2e-3"], 3, tmp_path / "results", machine=machine, weights=None)

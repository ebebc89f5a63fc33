"""What `lape run` says at its end, and refuses at its beginning."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from suite.cli.commands.execution import Execution
from suite.cli.commands.rerun import rerun_trial
from suite.cli.commands.run import _changed, _expected, run_grid
from suite.errors import InputError
from suite.report.workspace import Workspace, open_workspace
from suite.run.policy import Policy
from suite.run.timing.estimate import Where, workers_here
from suite.train.faults import MachineFault
from suite.train.machine import Machine
from tests.records import make_record

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


def test_the_serial_executor_runs_one_trial_at_a_time() -> None:
    Execution(executor="serial", at_once=1).check()
    Execution(executor="ray", at_once=8).check()
    with pytest.raises(InputError, match=r"one trial at a time[\s\S]*--at-once 2"):
        Execution(executor="serial", at_once=2).check()


def test_a_run_is_expected_to_take_as_long_as_so_many_at_once_do(opened: Workspace) -> None:
    trials = opened.expansion.trials
    for trial in trials[:1]:
        opened.store.put(make_record(trial, train_seconds=10.0))
    where, most = Where(), workers_here(1)
    assert _expected(opened, Execution(), trials, where).workers == most
    assert _expected(opened, Execution(at_once=1), trials, where).workers == 1
    assert _expected(opened, Execution(at_once=most + 5), trials, where).workers == most
    assert _expected(opened, Execution(executor="serial"), trials, where).workers == 1


def test_a_finished_grid_needs_neither_data_nor_ray(opened: Workspace, tmp_path: Path) -> None:
    """Nothing is verified, and no thread starts Ray."""
    for trial in opened.expansion.trials:
        opened.store.put(make_record(trial))
    machine = Machine(tmp_path / "no_data", "cpu")
    before = threading.active_count()
    assert run_grid(opened, Execution(), machine=machine, policy=Policy(), limit=None, retry="")
    assert threading.active_count() == before
    opened.store.folder.joinpath("runs.jsonl").unlink()
    with pytest.raises(InputError, match="is not prepared"):
        run_grid(replace(opened), Execution(), machine=machine, policy=Policy(), limit=None, retry="")


def test_a_rerun_on_a_machine_that_fails_says_so(
    opened: Workspace, tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise MachineFault("Traceback\nOSError: Input/output error", "gpu-1")

    monkeypatch.setattr("suite.train.trials.train_trials", fail)
    path, trial = str(opened.grid.document.path), opened.expansion.trials[0]
    with pytest.raises(InputError, match=r"the machine failed, not the trial[\s\S]*Input/output error[\s\S]*gpu-1"):
        rerun_trial(trial.id, path, ["recipe.lr=2e-3"], 3, tmp_path / "results", machine=machine, weights=None)

"""Trials by several processes: records as of one, whatever interrupts them, and failures that are carried home."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from suite.errors import InputError
from suite.grid.grid import load_grid
from suite.grid.recipe import Recipe
from suite.grid.trial import Trial
from suite.models import create_model
from suite.store.folder import Store
from suite.store.storage import Folder
from suite.train.faults import MachineFault
from suite.train.heartbeat import Heartbeat
from suite.train.machine import Machine
from suite.train.parallel import processes
from suite.train.parallel.synchronised import IndivisibleError, check_whole, synchronise
from suite.train.trials import run_trial, train_trials
from tests.cli.shell import JOIN, Shell, forgotten
from tests.records import lasting
from tests.train.steps.test_trainer import WHOLE

Write = Callable[..., Path]
BATCH = 16


@pytest.fixture
def trial(write_grid: Write) -> Trial:
    """With dropout and the whole recipe."""
    path = write_grid(("mlp_ratio: 1}", "mlp_ratio: 1, attn_drop: 0.2, drop_path: 0.2}"))
    trial = load_grid(path).expand().trials[1]
    return replace(trial, recipe=Recipe.model_validate({**trial.recipe.model_dump(), **WHOLE, "batch_size": BATCH}))


def test_a_grid_by_two_processes_is_that_of_two_threads(lape: Shell, write_grid: Write, tmp_path: Path) -> None:
    """All but the environment, to the bit; with its weights, and a method that the processes load, too."""
    method = tmp_path / "halved.py"
    method.write_text(JOIN)
    path = write_grid(("[0, 1]", "[0]"), ("join: [default, lape]", "join: [halved]"))
    command = ("run", path, "--executor", "serial", "--methods", method)
    with forgotten():
        lape(*command, "--processes", "2", "--keep-weights", "--results", "processes")
        assert lape.code == 0, lape.out + lape.err
        lape(*command, "--threads", "2", "--results", "threads")
        assert lape.code == 0, lape.err
    folders = [Store(tmp_path / name / "small") for name in ("processes", "threads")]
    (ours,), (theirs,) = (list(store.records().values()) for store in folders)
    assert (ours.environment.processes, ours.environment.threads) == (2, 1)
    assert (theirs.environment.processes, theirs.environment.threads) == (1, 2)
    found, expected = lasting(ours), lasting(theirs)
    assert found.pop("environment") != expected.pop("environment")
    assert found == expected
    assert ours.peak_memory_mb
    assert ours.images_per_second
    assert folders[0].weights(ours.trial_id).is_file()


class Stop(Heartbeat):
    """Hears a training of some steps, and ends it."""

    def __init__(self, steps: int) -> None:
        super().__init__([], None)
        self._left = steps

    def stepped(self, epoch: int, step: int, images: int) -> None:
        self._left -= images // BATCH
        if self._left <= 0:
            raise KeyboardInterrupt


@pytest.mark.slow
def test_a_training_that_is_interrupted_goes_on_with_as_many_processes(
    trial: Trial, machine: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """To the record of an unbroken one, with the dropout of every share; with fewer processes it begins anew."""
    two, place = replace(machine, processes=2, snapshot_seconds=0), Folder(tmp_path / "snapshots")
    ((whole, model),) = train_trials([trial], two)
    assert whole.status == "done", whole.error
    assert model is not None
    with pytest.raises(KeyboardInterrupt):
        train_trials([trial], two, place, Stop(12))
    assert place.names()
    ((again, other),) = train_trials([trial], two, place)
    assert lasting(again) == lasting(whole)
    assert other is not None
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in model.state_dict().items())
    capsys.readouterr()
    train_trials([trial], machine, place)
    assert "begins anew: its snapshot was made otherwise (processes: 2, now 1)" in capsys.readouterr().err


@pytest.mark.slow
def test_what_fails_in_a_process_is_the_outcome_of_the_trial(
    trial: Trial, machine: Machine, tmp_path: Path, write_grid: Write
) -> None:
    two = replace(machine, processes=2)
    diverged = run_trial(replace(trial, recipe=trial.recipe.model_copy(update={"lr": 1e30, "warmup_epochs": 0})), two)
    assert diverged.status == "diverged"
    assert diverged.environment.processes == 2
    with pytest.raises(InputError, match="lape data prepare digits"):
        run_trial(trial, replace(two, data_root=tmp_path))
    path = write_grid(("  dataset: [digits]", "  dataset: [digits]\n  norm: [bn]"), ("depth: 2", "depth: 3"))
    refused = run_trial(load_grid(path).expand().trials[0], two)
    assert refused.status == "error"
    assert "statistics over the batch, which processes can share on GPUs alone" in (refused.error or "")


@pytest.mark.slow
def test_a_trial_one_of_whose_processes_is_killed_or_that_hangs(
    trial: Trial, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From outside, as the system does when memory is out."""

    class Send(Heartbeat):
        """Sends the second process a signal when the training is under way."""

        def __init__(self, number: signal.Signals) -> None:
            super().__init__([], None)
            self._number = number

        def stepped(self, epoch: int, step: int, images: int) -> None:
            for process in multiprocessing.active_children():
                if process.name == "lape-1" and process.pid is not None:
                    os.kill(process.pid, self._number)

    two = replace(machine, processes=2)
    with pytest.raises(MachineFault, match=r"process 2 of 2 died: signal 9 \(SIGKILL\)"):
        train_trials([trial], two, heart=Send(signal.SIGKILL))
    monkeypatch.setattr(processes, "PATIENCE", 40.0)
    ((hung, _),) = train_trials([trial], two, heart=Send(signal.SIGSTOP))
    assert (hung.status, hung.error) == ("timeout", "none of 2 processes was heard of for 40 s")
    assert hung.environment.processes == 2
    assert not multiprocessing.active_children()


def test_how_many_processes_there_can_be(machine: Machine, write_grid: Write) -> None:
    with pytest.raises(InputError, match="from 1 to 1024 processes"):
        replace(machine, processes=0)
    assert replace(machine, processes=2).torch_device(1).type == "cpu"


def test_norms_of_feature_maps_are_synchronised_and_no_others() -> None:
    """In place, with the same parameters; what can't be is refused, as is a share that is no process's."""
    plain, other = (
        create_model("resnet20", pe="none", norm=norm, num_classes=7, image_size=8) for norm in ("bn", "l2bn")
    )
    names, weights = plain.state_dict().keys(), list(plain.parameters())
    for model in (plain, other):
        synchronise(model)
    assert plain.state_dict().keys() == names
    assert all(ours is theirs for ours, theirs in zip(plain.parameters(), weights, strict=True))
    check_whole(plain, 2, 2)
    for model, shares in ((plain, 4), (other, 2)):
        with pytest.raises(IndivisibleError, match="statistics over the batch"):
            check_whole(model, shares, 2)

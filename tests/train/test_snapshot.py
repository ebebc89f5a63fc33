"""A training that is stopped in the middle of an epoch and goes on gives the record of one that wasn't."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save

from suite.grid.grid import load_grid
from suite.grid.trial import Trial
from suite.store.record import RunRecord
from suite.store.storage import Folder
from suite.store.versions import Versions
from suite.train.machine import Machine
from suite.train.snapshot import Snapshots
from suite.train.trials import run_trial, train_trials
from tests.records import lasting

Write = Callable[..., Path]

RECIPES = {
    "plain": "crop_padding: 1, flip: true, label_smoothing: 0.1,",
    "everything": "crop_scale: [0.5, 1.0], auto_augment: rand-m9-mstd0.5-inc1, erase_prob: 0.5, mixup: 0.8,"
    " cutmix: 1.0, ema_decay: 0.9, clip_grad: 0.5, mixup_off_epoch: 1,",
}


class Stop(BaseException):
    """What kills a training."""


@pytest.fixture
def make(write_grid: Write) -> Callable[..., list[Trial]]:
    def make(augmentation: str = "plain", batch: int = 8) -> list[Trial]:
        path = write_grid(
            ("batch_size: 64", f"batch_size: {batch}"),
            ("lr: 1e-3,", f"lr: 1e-3, {RECIPES[augmentation]}"),
            ("mlp_ratio: 1}", "mlp_ratio: 1, attn_drop: 0.2, drop_path: 0.2}"),
        )
        return list(load_grid(path).expand().trials)

    return make


def stopped(
    trials: list[Trial], machine: Machine, place: Folder, after: int, monkeypatch: pytest.MonkeyPatch
) -> list[RunRecord]:
    """The records of a training that dies after so many snapshots, and is started again."""
    offer, left = Snapshots.offer, after

    def offer_and_stop(self: Snapshots, *arguments: Any) -> None:
        nonlocal left
        offer(self, *arguments)
        left -= 1
        if left == 0:
            raise Stop

    monkeypatch.setattr(Snapshots, "offer", offer_and_stop)
    machine = replace(machine, snapshot_seconds=0)
    with pytest.raises(Stop):
        train_trials(trials, machine, place)
    torch.manual_seed(99)  # another process has other generators
    return [record for record, _ in train_trials(trials, machine, place)]


@pytest.mark.parametrize(
    ("augmentation", "threads"),
    [
        ("plain", 1),
        ("everything", 2),
        pytest.param("plain", 2, marks=pytest.mark.slow),
        pytest.param("everything", 1, marks=pytest.mark.slow),
    ],
)
def test_to_the_last_bit(
    make: Callable[..., list[Trial]],
    machine: Machine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    augmentation: str,
    threads: int,
) -> None:
    machine = replace(machine, threads=threads)
    trial, *_ = make(augmentation, batch=64 if augmentation == "everything" else 32)
    if augmentation == "everything":  # stretches of one batch
        monkeypatch.setattr("suite.train.augmentation.pipeline.TOGETHER", 64)
    whole = run_trial(trial, machine)
    assert whole.status == "done", whole.error
    for after in (1, 3) if augmentation == "everything" else (2, 4, 7):
        with monkeypatch.context() as patch:
            (record,) = stopped([trial], machine, Folder(tmp_path / str(after)), after, patch)
        assert record.error is None
        assert lasting(record) == lasting(whole)
        assert [epoch.train_loss for epoch in record.history or ()] == [e.train_loss for e in whole.history or ()]
        assert record.train_seconds is not None


def test_the_snapshot_of_another_training_is_left_alone(
    make: Callable[..., list[Trial]], machine: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, other, *_ = make(batch=64)
    place, machine = Folder(tmp_path / "kept"), replace(machine, snapshot_seconds=0)
    train_trials([first], machine, place)
    for name in place.names():
        (place.path / name).rename(place.path / name.replace(first.id, other.id))
    ((record, _),) = train_trials([other], machine, place)
    assert lasting(record) == lasting(run_trial(other, machine))
    assert "begins anew" in capsys.readouterr().err


def test_a_torn_snapshot_gives_way_to_the_one_before_it(
    make: Callable[..., list[Trial]],
    machine: Machine,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trial, place = make(batch=32)[0], Folder(tmp_path / "kept")
    ((record, _),) = train_trials([trial], replace(machine, snapshot_seconds=0), place)
    unbroken = lasting(record)
    assert unbroken == lasting(run_trial(trial, machine))
    whole, torn = (place.path / name for name in place.names())  # two are kept, and the newer one is the second
    before, content = whole.read_bytes(), torn.read_bytes()

    found, last = [], Snapshots.last
    monkeypatch.setattr(Snapshots, "last", lambda self: found.append(last(self)) or found[-1])
    for kept in (0, 0.5, 0.999):
        whole.write_bytes(before)
        torn.write_bytes(content[: int(kept * len(content))])
        ((record, _),) = train_trials([trial], machine, place)
        assert found.pop() is not None
        assert lasting(record) == unbroken
        told = capsys.readouterr().err
        assert "damaged: the one before it is tried" in told
        assert "begins anew" not in told

    for path in (whole, torn):
        path.write_bytes(b"\x00" * 100)
    ((record, _),) = train_trials([trial], machine, place)
    assert lasting(record) == unbroken
    assert "begins anew: none of its snapshots is whole" in capsys.readouterr().err


def test_what_has_the_right_checksum_and_is_no_snapshot_begins_the_training_anew(
    make: Callable[..., list[Trial]], machine: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trial = make(batch=64)[0]
    deep = b"[" * 100_000
    for content in (b"", b"{}", b"\xff" * 8, len(deep).to_bytes(8, "little") + deep, save({}), save({}, {"a": "b"})):
        place = Folder(tmp_path / str(len(content)))
        Versions(place, trial.id).add(content)
        ((record, _),) = train_trials([trial], machine, place)
        assert record.status == "done"
        assert "begins anew: its snapshot is none of ours" in capsys.readouterr().err


def test_a_snapshot_that_cannot_be_written_costs_no_training(
    make: Callable[..., list[Trial]], machine: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trial = make(batch=64)[0]
    (tmp_path / "file").write_text("")
    machine = replace(machine, snapshot_seconds=0)
    ((record, _),) = train_trials([trial], machine, Folder(tmp_path / "file" / "snapshots"))
    assert record.status == "done"
    assert "no snapshot" in capsys.readouterr().err


def test_a_snapshot_every_so_many_epochs(
    make: Callable[..., list[Trial]], machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the end of every second epoch, however long they take; the training then goes on with the next one."""
    (trial, *_) = make(batch=64)
    trial = replace(trial, recipe=trial.recipe.model_copy(update={"epochs": 5}))
    machine = replace(machine, snapshot_seconds=None, snapshot_epochs=2)
    written, add = [], Versions.add
    monkeypatch.setattr(Versions, "add", lambda self, content: written.append(content) or add(self, content))
    ((record, _),) = train_trials([trial], machine, Folder(tmp_path / "kept"))
    assert len(written) == 2
    snapshots = Snapshots(Versions(Folder(tmp_path / "kept"), trial.id), None, {})
    assert snapshots.last() is None  # of other facts
    ((again, _),) = train_trials([trial], machine, Folder(tmp_path / "kept"))
    assert lasting(again) == lasting(record)
    assert len(written) == 2  # the second one is of the fourth epoch, and the fifth writes none

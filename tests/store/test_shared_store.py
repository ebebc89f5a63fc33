"""What workers left at a shared address comes home: all of it, once, and it is gone there then."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from suite.cli import main
from suite.errors import InputError
from suite.grid.grid import load_grid
from suite.grid.trial import Trial
from suite.run.worker import Worker
from suite.store import storage
from suite.store.folder import RUNS, Store
from suite.store.frames import load_history
from suite.store.shared_store import SharedStore
from suite.store.storage import Storage, open_storage
from suite.train.machine import Machine
from suite.train.snapshot import Snapshots
from suite.train.trials import run_trial, train_trials
from tests.processes import Process, wait_until
from tests.records import lasting, lines, make_record
from tests.s3 import BUCKET, Server, s3_server, use

Write = Callable[..., Path]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with s3_server() as started:
        yield started


@pytest.fixture
def s3(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    return use(server, monkeypatch)


@pytest.fixture
def trials(write_grid: Write) -> list[Trial]:
    return list(load_grid(write_grid()).expand().trials)


@pytest.fixture
def memory(tmp_path: Path) -> Storage:
    return open_storage(f"memory://{tmp_path}", "small")


def leave(shared: Storage, trial: Trial, **changes: Any) -> None:
    """As a worker does whose driver is dead."""
    content = make_record(trial, **changes).model_dump_json().encode()
    shared.place("records", 1.0).write(f"{trial.id}.json", content)


class TestRecords:
    def test_they_come_home_once_and_are_gone_there(self, memory: Storage, trials: list[Trial], tmp_path: Path) -> None:
        store = SharedStore(tmp_path / "results", memory)
        store.put(make_record(trials[0]))
        for trial in trials[:3]:
            leave(memory, trial)
        assert store.collect().keys() == {trial.id for trial in trials[:3]}
        assert memory.place("records", 1.0).names() == []
        before = (store.folder / RUNS).read_bytes()
        assert len(before.splitlines()) == 3
        assert len(load_history(store.folder)) == 3 * trials[0].recipe.epochs
        assert len(store.collect()) == 3
        assert (store.folder / RUNS).read_bytes() == before

    def test_a_result_stays_and_a_failure_gives_way(self, memory: Storage, trials: list[Trial], tmp_path: Path) -> None:
        store = SharedStore(tmp_path / "results", memory)
        store.put(make_record(trials[0], 60.0))
        store.put(make_record(trials[1], status="error", error="boom"))
        leave(memory, trials[0], status="error", error="late")
        leave(memory, trials[1], top1=70.0)
        found = store.collect()
        assert [found[trial.id].top1 for trial in trials[:2]] == [60.0, 70.0]
        assert memory.place("records", 1.0).names() == []

    def test_what_is_no_record_is_left_there(
        self, memory: Storage, trials: list[Trial], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        store, place = SharedStore(tmp_path / "results", memory), memory.place("records", 1.0)
        leave(memory, trials[0])
        text = make_record(trials[1]).model_dump_json().encode()
        names = {
            f"{trials[1].id}.json": text[: len(text) // 2],
            f"{trials[2].id}.json": text,  # of another trial
            "..%2f..%2fevil.json": text,
            "notes.txt": b"",
        }
        for name, content in names.items():
            place.write(name, content)
        assert store.collect().keys() == {trials[0].id}
        assert set(place.names()) == set(names)
        told = capsys.readouterr().err
        assert told.count("is left there") == 2
        assert not list((store.folder / "spool").iterdir())

    def test_weights_come_too(self, memory: Storage, trials: list[Trial], tmp_path: Path) -> None:
        leave(memory, trials[0])
        place = memory.place("weights", 1.0)
        for name in (trials[0].id, trials[1].id):
            place.write(f"{name}.safetensors", b"weights")
        store = SharedStore(tmp_path / "results", memory)
        store.collect()
        assert store.weights(trials[0].id).read_bytes() == b"weights"
        assert place.names() == [f"{trials[1].id}.safetensors"]  # its record may still come

    def test_snapshots_of_what_has_ended_are_swept(self, memory: Storage, trials: list[Trial], tmp_path: Path) -> None:
        place, store = memory.place("snapshots", 1.0), SharedStore(tmp_path / "results", memory)
        names = [f"{trial.id}.000001.{'0' * 16}.safetensors" for trial in trials]
        for name in names:
            place.write(name, b"")
        for trial, status in zip(trials, ("done", "diverged", "timeout"), strict=False):
            store.put(make_record(trial, status=status))
        store.collect()
        assert place.names() == sorted(names[2:])  # of the one that ran out of time, and of the one to come

    def test_the_results_themselves_are_no_storage(self, trials: list[Trial], tmp_path: Path) -> None:
        """What comes home from there would be removed."""
        (tmp_path / "link").symlink_to(tmp_path / "results")
        for address in (tmp_path / "results", tmp_path / "link"):
            with pytest.raises(InputError, match="leave --storage out"):
                SharedStore(tmp_path / "results" / "small", open_storage(str(address), "small"))
        SharedStore(tmp_path / "results" / "small", open_storage(str(tmp_path), "small"))

    def test_a_storage_that_fails_costs_no_record(
        self, s3: Server, trials: list[Trial], tmp_path: Path, capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        monkeypatch.setattr("suite.store.shared_store._PATIENCE", 0.5)
        shared = open_storage(f"s3://{BUCKET}/x", "small")
        store = SharedStore(tmp_path / "results", shared)
        leave(shared, trials[0])
        store.put(make_record(trials[1]))
        s3.fault = "500"
        assert store.collect().keys() == {trials[1].id}
        assert "comes home with the next run" in capsys.readouterr().err
        s3.fault = ""
        assert len(store.collect()) == 2


def lape(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    monkeypatch.setattr(sys, "argv", ["lape", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        main()
    return int(stop.value.code or 0)


class TestWorker:
    def test_its_record_outlives_the_driver(
        self,
        s3: Server,
        write_grid: Write,
        machine: Machine,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """A worker of another machine, whose driver dies: the next run has its record and its weights."""
        path = write_grid()
        trials = load_grid(path).expand().trials
        address = f"s3://{BUCKET}/x"
        worker = Worker(machine, tmp_path / "not here", keep_weights=True, storage=open_storage(address, "small"))
        (lost,) = worker(trials[:1])
        assert lost.status == "done"
        assert s3.keys() == [f"x/small/records/{lost.trial_id}.json", f"x/small/weights/{lost.trial_id}.safetensors"]
        assert not (tmp_path / "not here").exists()

        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("LAPE_DATA", str(machine.data_root))
        monkeypatch.setenv("LAPE_STORAGE", address)
        assert lape(monkeypatch, "run", path, "--executor", "serial", "--limit", "1") == 1
        assert "3 of 4 trials to run" in capsys.readouterr().out
        store = Store(tmp_path / "results" / "small")
        assert store.records()[lost.trial_id] == lost.model_copy(update={"history": None})
        assert len(lines(store.folder / RUNS)) == 2
        assert store.weights(lost.trial_id).is_file()
        assert s3.keys() == []

    def test_a_storage_that_fails_costs_no_training(
        self,
        s3: Server,
        trials: list[Trial],
        machine: Machine,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        for name in ("SNAPSHOT_PATIENCE", "RECORD_PATIENCE"):
            monkeypatch.setattr(f"suite.run.worker.{name}", 0.1)
        shared = open_storage(f"s3://{BUCKET}/x", "small")
        s3.fault = "503"
        worker = Worker(replace(machine, snapshot_seconds=0), tmp_path / "not here", storage=shared)
        (record,) = worker(trials[:1])
        assert lasting(record) == lasting(run_trial(trials[0], machine))
        told = capsys.readouterr().err
        assert "no snapshot of a training" in told
        assert "a record reaches the driver alone" in told
        assert BUCKET not in told
        assert "127.0.0.1" not in told

    def test_a_secret_in_an_error_is_not_recorded(
        self, memory: Storage, trials: list[Trial], machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-to-be-seen")

        def fail(*arguments: Any, **more: Any) -> None:
            raise RuntimeError("https://me:pw@host/x?key=1 refused not-to-be-seen")

        monkeypatch.setattr("suite.train.attempt.Attempt.train", fail)
        (record,) = Worker(machine, tmp_path, storage=memory)(trials[:1])
        assert record.status == "error"
        assert "RuntimeError: (address) refused ***" in (record.error or "")
        assert "not-to-be-seen" not in (tmp_path / "spool" / f"{record.trial_id}.json").read_text()


class Stop(BaseException):
    """What kills a training."""


class TestSnapshots:
    @pytest.mark.parametrize("torn", [False, True])
    def test_another_machine_goes_on_to_the_same_record(
        self,
        s3: Server,
        trials: list[Trial],
        machine: Machine,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        torn: bool,
    ) -> None:
        """Through S3; if the newest object is torn, from the one before it."""
        place = open_storage(f"s3://{BUCKET}/x", "small").place("snapshots", 10.0)
        offer, left = Snapshots.offer, 2

        def offer_and_stop(self: Snapshots, *arguments: Any) -> None:
            nonlocal left
            left -= 1
            if left == 0 and torn:
                s3.fault = "half PUT"
            offer(self, *arguments)
            s3.fault = ""
            if left == 0:
                raise Stop

        often = replace(machine, snapshot_seconds=0)
        monkeypatch.setattr(Snapshots, "offer", offer_and_stop)
        with pytest.raises(Stop):
            train_trials(trials[:1], often, place)
        assert len(s3.keys()) == 2
        torch.manual_seed(99)  # another process has other generators
        ((record, _),) = train_trials(trials[:1], often, place)
        told = capsys.readouterr().err
        assert ("is damaged: the one before it is tried" in told) == torn
        assert "begins anew" not in told
        assert lasting(record) == lasting(run_trial(trials[0], machine))

    @pytest.mark.slow
    def test_a_process_that_is_killed_goes_on_elsewhere(
        self, s3: Server, write_grid: Write, data_folder: Path, tmp_path: Path
    ) -> None:
        """Killed with -9 in an epoch; a run with another results folder goes on from the snapshot in S3."""
        process = Process(tmp_path, data_folder)
        process.environment |= s3.environment
        path = write_grid(
            ("epochs: 2, batch_size: 64", "epochs: 3, batch_size: 8"),
            ("train_images: 128", "train_images: 1024, ema_decay: 0.9, auto_augment: rand-m9-mstd0.5-inc1, flip: true"),
            ("[0, 1]", "[0]"),
        )
        often = ("--executor", "serial", "--storage", f"s3://{BUCKET}/x", "--snapshot-minutes", "0")
        killed = process.start("run", path, *often, results="one")
        wait_until("two snapshots in S3", lambda: len(s3.keys()) >= 2, killed)
        os.kill(killed.pid, signal.SIGKILL)
        process.end(killed)
        assert s3.keys()
        s3.requests.clear()
        code, out = process.end(process.start("run", path, *often, results="two"))
        assert code == 0, out
        assert "begins anew" not in out
        assert any(method == "GET" and ".safetensors" in where for method, where in s3.requests)
        code, out = process.end(process.start("run", path, "--executor", "serial", results="unbroken"))
        assert code == 0, out
        assert lines(tmp_path / "two" / "small" / RUNS) == lines(tmp_path / "unbroken" / "small" / RUNS)
        assert s3.keys() == []


def test_nothing_that_is_written_or_printed_names_address_or_credentials(
    s3: Server,
    write_grid: Write,
    data_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Neither results nor reports, nor what a run prints, nor the objects at the storage."""
    path, written = write_grid(("[0, 1]", "[0]")), {}
    write = storage._Remote.write

    def write_and_keep(self: Any, name: str, content: bytes) -> None:
        written[name] = content
        write(self, name, content)

    monkeypatch.setattr(storage._Remote, "write", write_and_keep)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAPE_DATA", str(data_folder))
    options = ("--executor", "serial", "--storage", f"s3://{BUCKET}/my-prefix", "--snapshot-minutes", "0")
    assert lape(monkeypatch, "run", path, *options, "--keep-weights") == 0
    printed = "".join(capsys.readouterr())
    s3.fault = "403"
    assert lape(monkeypatch, "run", path, *options) == 2
    refused = "".join(capsys.readouterr())
    assert "my-prefix" in refused  # what was typed, to whom typed it
    files = [
        file.read_bytes() for name in ("results", "reports") for file in (tmp_path / name).rglob("*") if file.is_file()
    ]
    assert len(files) > 5
    assert {name.rpartition(".")[2] for name in written} >= {"json", "safetensors"}
    names = [json.dumps([str(file) for file in tmp_path.rglob("*")]).encode()]
    secrets = [value.encode() for name, value in s3.environment.items() if "KEY" in name or "URL" in name]
    assert len(secrets) == 3
    for content in [*files, *written.values(), *names, printed.encode()]:
        assert b"my-prefix" not in content
        for secret in secrets:
            assert secret not in content
    for secret in secrets:
        assert secret.decode() not in refused

"""Whatever stops a run, as a process of its own: nothing that has finished is lost, and the end is the same."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from suite.store.folder import SNAPSHOTS, Store
from tests.processes import Process
from tests.records import lasting, lines

Write = Callable[..., Path]


@pytest.fixture
def process(tmp_path: Path, data_folder: Path) -> Process:
    return Process(tmp_path, data_folder)


@pytest.mark.ray
def test_a_run_that_is_killed_goes_on_to_the_same_results(process: Process, write_grid: Write, tmp_path: Path) -> None:
    """The driver is killed in the middle; the same command then ends as an unbroken, serial run does."""
    path = write_grid(("epochs: 2", "epochs: 6"), ("train_images: 128", "train_images: 1024"))
    killed = process.start("run", path, results="broken")
    process.wait_for_a_record(killed, "broken")
    killed.send_signal(signal.SIGKILL)
    process.end(killed)
    assert 0 < process.stored("broken") < 4

    unbroken = process.start("run", path, "--executor", "serial", results="unbroken")
    code, out = process.end(process.start("run", path, results="broken"))
    assert code == 0, out
    assert "4 of 4 trials to run" not in out
    assert process.end(unbroken)[0] == 0
    files = [tmp_path / name / "small" / "runs.jsonl" for name in ("broken", "unbroken")]
    assert lines(files[0]) == lines(files[1])
    assert len(lines(files[0])) == 4


@pytest.mark.parametrize(
    ("executor", "number"),
    [("serial", signal.SIGINT), ("serial", signal.SIGTERM), pytest.param("ray", signal.SIGINT, marks=pytest.mark.ray)],
)
def test_ctrl_c_and_its_kin_keep_what_has_finished(
    process: Process, write_grid: Write, tmp_path: Path, executor: str, number: signal.Signals
) -> None:
    path = write_grid(
        ("epochs: 2", "epochs: 6"), ("train_images: 128", "train_images: 1024"), ("[0, 1]", str(list(range(9))))
    )
    stopped = process.start("run", path, "--executor", executor, results="results")
    process.wait_for_a_record(stopped, "results")
    stopped.send_signal(number)
    code, out = process.end(stopped)
    assert code == 130, out
    assert "stopped; finished trials are stored" in out
    assert "Traceback" not in out
    assert 0 < len(lines(tmp_path / "results" / "small" / "runs.jsonl")) < 18


@pytest.mark.parametrize("executor", ["serial", pytest.param("ray", marks=[pytest.mark.ray, pytest.mark.slow])])
def test_a_training_that_is_killed_in_an_epoch_goes_on_from_there(
    process: Process, write_grid: Write, tmp_path: Path, executor: str
) -> None:
    """Not from its beginning: the record is the same, and its time is that of both parts."""
    path = write_grid(
        ("epochs: 2, batch_size: 64", "epochs: 3, batch_size: 8"),
        ("train_images: 128", "train_images: 1024, ema_decay: 0.9, auto_augment: rand-m9-mstd0.5-inc1, flip: true"),
        ("[0, 1]", "[0]"),
    )
    often = ("--snapshot-minutes", "0", "--executor", executor)
    killed = process.start("run", path, *often, results="broken")
    snapshots = process.wait_for_a_snapshot(killed, "broken")
    time.sleep(1)
    killed.send_signal(signal.SIGKILL)
    process.end(killed)
    assert len(list(snapshots.glob("[!.]*"))) in (1, 2, 3)  # two are kept, and the third may not be removed yet
    code, out = process.end(process.start("run", path, *often, results="broken"))
    assert code == 0, out
    assert "begins anew" not in out
    code, out = process.end(process.start("run", path, "--executor", "serial", results="unbroken"))
    assert code == 0, out
    broken, unbroken = (Store(tmp_path / name / "small") for name in ("broken", "unbroken"))
    for trial_id, record in unbroken.records().items():
        assert lasting(broken.records()[trial_id]) == lasting(record)
    assert not list((broken.folder / SNAPSHOTS).iterdir())
    assert not (unbroken.folder / SNAPSHOTS).exists()  # nothing is written before it is time

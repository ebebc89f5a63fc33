"""A serial run that is interrupted or killed: what has finished is kept, and the next run gives the same records."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from suite.store.folder import SNAPSHOTS, Store
from tests.cli.shell import Shell
from tests.processes import Process, wait_until
from tests.records import lasting, lines

Write = Callable[..., Path]

pytestmark = pytest.mark.timeout(1800)

# Many steps, each of which writes a snapshot.
STEPS = (
    ("epochs: 2, batch_size: 64", "epochs: 3, batch_size: 8"),
    ("train_images: 128", "train_images: 512, ema_decay: 0.9, auto_augment: rand-m9-mstd0.5-inc1, flip: true"),
    ("[0, 1]", "[0]"),
    ("[default, lape]", "[lape]"),
)


# SIGTERM is handled as SIGINT, which the runs with Ray are sent.
@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_an_interrupted_run_keeps_what_has_finished(
    process: Process, write_grid: Write, tmp_path: Path, number: signal.Signals
) -> None:
    path = write_grid(("[0, 1]", str(list(range(99)))))
    interrupted = process.start("run", path, "--executor", "serial", results="results")
    process.wait_for_a_record(interrupted, "results")
    interrupted.send_signal(number)
    code, out = process.end(interrupted)
    assert code == 130, out
    assert "stopped; finished trials are stored" in out
    assert "Traceback" not in out
    assert 0 < len(lines(tmp_path / "results" / "small" / "runs.jsonl")) < 198


def kill_in_an_epoch(process: Process, lape: Shell, write_grid: Write, tmp_path: Path, executor: str) -> None:
    """Kill a training run in an epoch; the next one resumes there, to the record of an unbroken run."""
    path = write_grid(*STEPS)
    often = ("--snapshot-minutes", "0", "--executor", executor)
    killed = process.start("run", path, *often, results="broken")
    snapshots = process.wait_for_a_snapshot(killed, "broken")
    first = {file.name for file in snapshots.glob("[!.]*")}
    wait_until(
        "newer snapshots", lambda: first.isdisjoint({file.name for file in snapshots.glob("[!.]*")}), killed, pause=0.01
    )
    killed.send_signal(signal.SIGKILL)
    process.end(killed)
    assert len(list(snapshots.glob("[!.]*"))) in (1, 2, 3)  # two are kept, and the third may not be removed yet
    if executor == "serial":
        lape("run", path, "--executor", "serial", "--results", "broken")
        code, out = lape.code, lape.out + lape.err
    else:
        code, out = process.end(process.start("run", path, *often, results="broken"))
    assert code == 0, out
    assert "begins anew" not in out
    lape("run", path, "--executor", "serial", "--results", "unbroken")
    assert lape.code == 0, lape.err
    stores = {name: Store(tmp_path / name / "small") for name in ("broken", "unbroken")}
    records = {name: store.records() for name, store in stores.items()}
    assert len(records["unbroken"]) == 1
    for trial_id, record in records["unbroken"].items():
        assert lasting(records["broken"][trial_id]) == lasting(record)
    assert not list((stores["broken"].folder / SNAPSHOTS).iterdir())
    assert not (stores["unbroken"].folder / SNAPSHOTS).exists()  # nothing is written before it is time


def test_a_training_run_that_is_killed_in_an_epoch_resumes_there(
    process: Process, lape: Shell, write_grid: Write, tmp_path: Path
) -> None:
    kill_in_an_epoch(process, lape, write_grid, tmp_path, "serial")

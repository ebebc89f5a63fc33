"""A run on Ray that is interrupted or killed: what has finished is kept, and the next run gives the same records."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.shell import Shell
from tests.processes import Process
from tests.records import lines
from tests.run.test_interruptions import kill_in_an_epoch

Write = Callable[..., Path]

pytestmark = [pytest.mark.ray, pytest.mark.timeout(1800), pytest.mark.filterwarnings("default")]

# Long enough that the processes of Ray don't finish all of them while the first record is being noticed.
LONG = (("epochs: 2", "epochs: 4"), ("train_images: 128", "train_images: 1024"), ("[0, 1]", "[0, 1, 2]"))
TRIALS = 6


def test_a_run_that_is_killed_goes_on_to_the_same_results(
    process: Process, lape: Shell, write_grid: Write, tmp_path: Path
) -> None:
    """The driver is killed, with the Ray that it had started; the same command then ends as an unbroken serial run."""
    path = write_grid(*LONG)
    killed = process.start("run", path, results="broken")
    process.wait_for_a_record(killed, "broken")
    killed.send_signal(signal.SIGKILL)
    process.end(killed)
    assert 0 < process.stored("broken") < TRIALS

    code, out = process.end(process.start("run", path, results="broken"))
    assert code == 0, out
    assert f"{TRIALS} of {TRIALS} trials to run" not in out
    lape("run", path, "--executor", "serial", "--results", "unbroken")
    assert lape.code == 0, lape.err
    files = [tmp_path / name / "small" / "runs.jsonl" for name in ("broken", "unbroken")]
    assert lines(files[0]) == lines(files[1])
    assert len(lines(files[0])) == TRIALS


def test_an_interrupted_run_keeps_what_has_finished(
    process: Process, write_grid: Write, tmp_path: Path, address: str
) -> None:
    """On a cluster that is there already; the test above has one of its own."""
    path = write_grid(*LONG, ("[0, 1, 2]", str(list(range(99)))))
    cluster = ("--address", address, "--device", "cpu", "--gpus-per-trial", "0")
    interrupted = process.start("run", path, *cluster, results="results")
    process.wait_for_a_record(interrupted, "results")
    interrupted.send_signal(signal.SIGINT)
    code, out = process.end(interrupted)
    assert code == 130, out
    assert "stopped; finished trials are stored" in out
    assert "Traceback" not in out
    assert 0 < len(lines(tmp_path / "results" / "small" / "runs.jsonl")) < 198


@pytest.mark.slow
def test_a_training_run_that_is_killed_in_an_epoch_resumes_there(
    process: Process, lape: Shell, write_grid: Write, tmp_path: Path
) -> None:
    kill_in_an_epoch(process, lape, write_grid, tmp_path, "ray")

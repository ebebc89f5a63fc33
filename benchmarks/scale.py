"""Measures the time and disk space that the suite and Ray add per trial: 10,000 empty trials, two at a time.

The driver runs in its own process, so that its memory is that of a user's driver. Meanwhile `lape status` is called
repeatedly, and files are counted.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.grids import expand, record, write_grid
from benchmarks.rows import Row
from suite.grid.trial import Trial
from suite.run.driver import run_missing
from suite.run.events import Job, Listener
from suite.run.queue import Queue
from suite.store.beats import Beat
from suite.store.folder import Store
from suite.store.record import RunRecord
from suite.train.faults import MachineFault

TRIALS = 10_000
_MEGABYTE = 2**20


@dataclass(frozen=True)
class Nothing:
    """A worker that stores a record of each trial, as the real worker does, but doesn't train."""

    results: Path

    def __call__(self, job: Job) -> list[RunRecord]:
        """Store and return the records of a job."""
        records = [record(trial) for trial in job]
        for one in records:
            Store(self.results).put(one)
        return records


class _Times(Listener):
    """A listener that notes when trials end."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def started(self, trial: Trial) -> None:
        """Nothing to do."""

    def progressed(self, beat: Beat) -> None:
        """Nothing to do."""

    def finished(self, record: RunRecord) -> None:
        """Note the time."""
        self.ends.append(time.perf_counter())

    def delayed(self, trial: Trial, fault: MachineFault, seconds: float) -> None:
        """Nothing to do."""

    def skipped(self, trials: Sequence[Trial], reason: str) -> None:
        """Nothing to do."""


def drive(folder: Path, trials: int) -> None:
    """Run the grid in the driver's process, and print the figures as JSON."""
    from suite.run.ray.tune import Resources, run_ray

    times, store = _Times(), Store(folder / "bench")

    def execute(queue: Queue) -> None:
        run_ray(queue, Nothing(store.folder), resources=Resources(cpus=1, gpus=0))

    expansion, began = expand(folder, trials), time.perf_counter()
    plan = run_missing(expansion, store, execute, lambda plan: times)
    if len(plan.done) != trials:
        raise RuntimeError("all trials should be done")
    half = len(times.ends) // 2
    print(
        json.dumps(
            {
                "seconds": time.perf_counter() - began,
                "steady": (times.ends[-1] - times.ends[1]) / (trials - 2),
                "late": (times.ends[-1] - times.ends[half]) / (trials - half - 1),
                "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            }
        )
    )


def measure(trials: int = TRIALS) -> dict[str, float]:
    """Start the driver, observe it while it runs, and return all figures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        grid, results = write_grid(folder, trials), folder / "bench"
        command = [sys.executable, "-m", "benchmarks.scale", str(folder), str(trials)]
        (folder / "tmp").mkdir()  # for the temporary files of Ray and Tune
        # Allow bytecode caching, which most users have.
        usual = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        driver = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env={**usual, "TMPDIR": str(folder / "tmp")}
        )
        files, temporary, slowest, asked = 0, 0, 0.0, 0
        while driver.poll() is None:
            began = time.perf_counter()
            subprocess.run(
                [sys.executable, "-m", "suite", "status", str(grid), "--results", name],
                capture_output=True,
                check=True,
                env=usual,
            )
            slowest, asked = max(slowest, time.perf_counter() - began), asked + 1
            files = max(files, _files(results))
            temporary = max(temporary, _files(folder / "tmp"))
            time.sleep(5)
        out, _ = driver.communicate()
        if driver.returncode:
            raise RuntimeError("the driver failed")
        found: dict[str, float] = json.loads(out.splitlines()[-1])
        return {**found, "trials": trials, "status": slowest, "asked": asked, "files": files, "temporary": temporary}


def _files(folder: Path) -> int:
    return sum(len(names) for _, _, names in os.walk(folder))


def rows(found: dict[str, float]) -> list[Row]:
    """Return the figures with their bounds."""
    trials = f"{found['trials']:,} no-op trials"
    return [
        Row(f"{trials}, per trial, start and end included", found["seconds"] / found["trials"], 0.1),
        Row(f"{trials}, per trial, the second half of them", found["late"], 0.1),
        Row(f"{trials}, memory of the driver", found["memory"] / _MEGABYTE, 1000, unit=" MB"),
        Row(f"{trials}, files in the results folder at most", found["files"], 1000, unit=""),
        Row(f"{trials}, temporary files of Ray and Tune at most", found["temporary"], 1000, unit=""),
        Row(f"{trials}, slowest of {found['asked']:.0f} answers of lape status", found["status"], 2.0),
    ]


if __name__ == "__main__":
    drive(Path(sys.argv[1]), int(sys.argv[2]))

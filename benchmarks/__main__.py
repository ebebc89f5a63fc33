"""Measures the suite's own overhead and its verdicts' error rates: `python -m benchmarks [NAME…]`."""

from __future__ import annotations

import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import judging as judged
from benchmarks import verdicts as simulated
from benchmarks.grids import expand, record, write_grid
from benchmarks.pages import pages
from benchmarks.rows import Row
from suite.grid.trial import Trial
from suite.report.tables import summary
from suite.run.events import Job, Listener
from suite.run.queue import Queue
from suite.store.beats import Beat
from suite.store.folder import RUNS, Store
from suite.store.frames import load_frame
from suite.store.record import RunRecord
from suite.train.faults import MachineFault

REPEATS = 3
LAPE = [sys.executable, "-m", "suite"]


def _best(command: list[str]) -> float:
    """Return the shortest of several runs of a command, in seconds. Longer runs were delayed by other work."""
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        times.append(time.perf_counter() - began)
    return min(times)


def start_up() -> list[Row]:
    """Time `lape --help`."""
    return [Row("lape --help", _best([*LAPE, "--help"]), 0.5)]


def planning() -> list[Row]:
    """Time `lape plan` on a grid of 10,000 trials."""
    with tempfile.TemporaryDirectory() as folder:
        path = write_grid(Path(folder), 10_000)
        return [Row("lape plan, 10,000 trials", _best([*LAPE, "plan", str(path), "--results", folder]), 3.0)]


def watching() -> list[Row]:
    """Time `lape status` on 10,000 trials, of which 9,000 have a record and 64 are running."""
    from suite.store.beats import Running, starting

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path, rng = write_grid(folder, 10_000), random.Random(0)
        trials, results = expand(folder, 10_000).trials, folder / "bench"
        results.mkdir()
        lines = (record(trial, rng).model_copy(update={"history": None}) for trial in trials[:9000])
        (results / RUNS).write_text("\n".join(line.model_dump_json() for line in lines) + "\n")
        for trial in trials[9000:9064]:
            Running(results).write(starting(trial.id))
        return [Row("lape status, 10,000 trials", _best([*LAPE, "status", str(path), "--results", name]), 2.0)]


def estimating() -> list[Row]:
    """Simulate the coverage of the 95 % intervals of time estimates: 4 kinds, 3 measurements each, 40 trials."""
    from benchmarks.estimates import NOISES, simulate

    found = []
    for noise in NOISES:
        held, width = simulate(noise, 4, 3, 40)
        found.append(Row(f"interval of the time, {noise.name}: holds", 100 * held, 100.0, 90.0, " %"))
        found.append(Row(f"interval of the time, {noise.name}: ±", 100 * width, 100.0, 0.0, " %"))
    return found


def reading() -> list[Row]:
    """Time `lape tables` and `lape report` on 2,000 runs of 30 epochs."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store, rng = Store(folder / "bench"), random.Random(0)
        for trial in expand(folder, 2000).trials:
            store.put(record(trial, rng))
        store.collect()
        arguments = [str(folder / "bench.yaml"), "--results", name, "--reports", name]
        return [
            Row(f"lape {command}, 2,000 runs", _best([*LAPE, command, *arguments]), 5.0)
            for command in ("tables", "report")
        ]


class _Count(Listener):
    """A listener that notes when the trials end."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def started(self, trial: Trial) -> None:
        """Nothing to do."""

    def progressed(self, beat: Beat) -> None:
        """Nothing to do."""

    def finished(self, record: RunRecord) -> None:
        """Note the time."""
        self.times.append(time.perf_counter())

    def delayed(self, trial: Trial, fault: MachineFault, seconds: float) -> None:
        """Nothing to do: no trial is delayed here."""

    def skipped(self, trials: Sequence[Trial], reason: str) -> None:
        """Nothing to do: no trial is skipped here."""


def _nothing(job: Job) -> list[RunRecord]:
    return [record(trial) for trial in job]


def scheduling() -> list[Row]:
    """Time Ray's scheduling: 200 empty trials, two at a time, from the second result to the last, and in total."""
    from suite.run.ray.tune import Resources, run_ray

    with tempfile.TemporaryDirectory() as folder:
        trials = expand(Path(folder), 200).trials
    listener, began = _Count(), time.perf_counter()
    run_ray(Queue([(trial,) for trial in trials], listener), _nothing, resources=Resources(cpus=1))
    whole = time.perf_counter() - began
    steady = (listener.times[-1] - listener.times[1]) / (len(trials) - 2)
    return [
        Row("Ray, per trial once workers are up", steady, 0.1),
        Row("Ray, 200 no-op trials with start and end, per trial", whole / len(trials), 0.1),
    ]


def augmentation() -> list[Row]:
    """Time the input pipeline with the recipe for CIFAR-10. The bound is a quarter of timm's time."""
    from benchmarks.augmentation import throughputs

    ours, theirs = throughputs()
    return [Row("augmentation of 1,000 CIFAR images, limit: timm's / 4", 1000 / ours, round(1000 / theirs / 4, 3))]


def judging() -> list[Row]:
    """Time tables and verdicts of 10,000 runs and 200 claims, 20 pairs each, with and without per-image correctness."""
    from suite.verdict.verdicts import judge, to_json

    found = []
    for images in (0, 10_000):
        with tempfile.TemporaryDirectory() as folder:
            judged.write_runs(Path(folder), images)
            began = time.perf_counter()
            frame = load_frame(folder)
            read = time.perf_counter()
            summary.write_tables(frame, Path(folder))
            shown = time.perf_counter()
            verdicts = judge(frame, judged.claims())
            text = to_json(verdicts)
            ended = time.perf_counter()
            looked = judge(frame, [claim.model_copy(update={"max_pairs": 20}) for claim in judged.claims()])
            looked_text = to_json(looked)
            again = time.perf_counter()
        if not len(verdicts) == len(looked) == 200 or (text + looked_text).count('"not_tested"'):
            raise RuntimeError("all claims should have been judged")
        name = f"10,000 runs, {images or 'no'} test images"
        found += [
            Row(f"{name}: read", read - began, 10.0),
            Row(f"{name}: tables", shown - read, 5.0),
            Row(f"{name}: 200 verdicts", ended - shown, 15.0),
            Row(f"{name}: all of it", ended - began, 20.0),
            Row(f"{name}: 200 verdicts by a sequential rule", again - ended, 15.0),
        ]
    return found


def verdicts() -> list[Row]:
    """Simulate the error rates of verdicts and the coverage of intervals (minutes). See benchmarks/verdicts.py."""
    return simulated.rows(simulated.simulate())


BENCHMARKS: dict[str, Callable[[], list[Row]]] = {
    function.__name__: function
    for function in (
        start_up,
        planning,
        watching,
        estimating,
        reading,
        scheduling,
        augmentation,
        judging,
        verdicts,
        pages,
    )
}


def main(names: list[str]) -> None:
    """Run the named benchmarks, or all, and print each result beside its bounds."""
    print(f"{platform.machine()}, Python {platform.python_version()}, best of {REPEATS}")
    for name in names or list(BENCHMARKS):
        for row in BENCHMARKS[name]():
            print(row, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

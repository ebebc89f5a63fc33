"""What a worker does with a trial: train it, and put the record where nothing can lose it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from suite.errors import InputError
from suite.machine import Machine
from suite.record import RunRecord
from suite.store import Store
from suite.trial import Trial


@dataclass(frozen=True)
class Worker:
    """Picklable, so that Ray can send it to another process or machine."""

    machine: Machine
    results: Path

    def __call__(self, trial: Trial) -> RunRecord:
        """Run the trial. Its record is stored from here where the results folder is in sight, so that it
        survives a driver that dies meanwhile; it goes to the driver in any case, who stores it if needed.
        """
        from suite.train import run_trial  # torch: a driver that only schedules does without it

        record = run_trial(trial, self.machine)
        if self.results.is_dir():
            with suppress(InputError):  # a full disk, say: the driver will meet it too, and report it
                Store(self.results).put(record)
        return record

"""What a worker does with a trial: train it, and put record and weights where nothing can lose them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from suite.environment import node_name
from suite.errors import InputError
from suite.execution.events import Job
from suite.heartbeat import Heartbeat, Running
from suite.machine import Machine
from suite.record import RunRecord
from suite.store import Store


@dataclass(frozen=True)
class Worker:
    """Picklable, so that Ray can send it to another process or machine."""

    machine: Machine
    results: Path
    keep_weights: bool = False

    def __call__(self, job: Job) -> list[RunRecord]:
        """Run the job. Its records are stored from here where the results folder is in sight, so that they
        survive a driver that dies meanwhile; they go to the driver in any case, who stores them if needed.
        Weights and snapshots are kept there and nowhere else; weights before the record: what has one isn't run again.
        """
        # torch: a driver that only schedules does without it
        from suite.models.checkpoint import write_checkpoint
        from suite.train import train_trials

        ids = [trial.id for trial in job]
        if not self.results.is_dir():
            with Heartbeat(ids, None, node_name()) as heart:
                return [record for record, _ in train_trials(job, self.machine, heart=heart)]
        store, records = Store(self.results), list[RunRecord]()
        with Heartbeat(ids, Running(self.results), node_name()) as heart:
            trained = train_trials(job, self.machine, lambda trial: store.snapshot(trial.id), heart)
        for record, model in trained:
            trial = job[len(records)]
            if self.keep_weights and model is not None:
                with suppress(Exception):  # the record is worth more; the driver says which weights there aren't
                    write_checkpoint(
                        store.weights(trial.id), model, trial.model, dataset=trial.dataset.name, trial_id=trial.id
                    )
            with suppress(InputError):  # a full disk, say: the driver will meet it too, and report it
                store.put(record)
                store.snapshot(trial.id).unlink(missing_ok=True)
            records.append(record)
        return records

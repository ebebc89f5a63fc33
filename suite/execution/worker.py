"""What a worker does with a trial: train it, and put record and weights where nothing can lose them."""

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
    keep_weights: bool = False

    def __call__(self, trial: Trial) -> RunRecord:
        """Run the trial. Its record is stored from here where the results folder is in sight, so that it
        survives a driver that dies meanwhile; it goes to the driver in any case, who stores it if needed.
        Weights are kept there and nowhere else, and before the record: what has a record isn't run again.
        """
        # torch: a driver that only schedules does without it
        from suite.models.checkpoint import write_checkpoint
        from suite.train import train_trial

        record, model = train_trial(trial, self.machine)
        if self.results.is_dir():
            store = Store(self.results)
            if self.keep_weights and model is not None:
                with suppress(Exception):  # the record is worth more; the driver says which weights there aren't
                    write_checkpoint(
                        store.weights(trial.id), model, trial.model, dataset=trial.dataset.name, trial_id=trial.id
                    )
            with suppress(InputError):  # a full disk, say: the driver will meet it too, and report it
                store.put(record)
        return record

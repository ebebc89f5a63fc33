"""What a worker does with a trial: train it, and put record and weights where nothing can lose them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from suite.errors import STRANGERS_ERRORS, InputError
from suite.grid.methods import MethodFile, load_files, load_packages
from suite.grid.trial import Trial
from suite.run.events import Job
from suite.store.beats import Running
from suite.store.environment import node_name
from suite.store.files import write_atomic
from suite.store.folder import GOING_ON, SNAPSHOTS, Store
from suite.store.record import RunRecord
from suite.store.redaction import scrub
from suite.store.shared_store import RECORDS, WEIGHTS
from suite.store.storage import Place, Storage
from suite.store.versions import Versions
from suite.text import note
from suite.train.heartbeat import Heartbeat
from suite.train.machine import Machine

if TYPE_CHECKING:
    from suite.models.model import Model

SNAPSHOT_PATIENCE = 20.0  # seconds for which a training waits for the storage: it is worth more than a snapshot
RECORD_PATIENCE = 120.0  # and for which a record does


@dataclass(frozen=True)
class Worker:
    """Picklable, so that Ray can send it to another process or machine.

    Args:
        machine: How the worker's machine is used.
        results: The results folder, which the worker may see or not.
        keep_weights: Store the weights of done trials.
        storage: A shared address for snapshots, so that another machine can resume a training run, and for records and
            weights until a driver has stored them.
        methods: Method files whose levels trials use. Their text comes along, so that the machine needs no such file.
    """

    machine: Machine
    results: Path
    keep_weights: bool = False
    storage: Storage | None = None
    methods: tuple[MethodFile, ...] = ()

    def __call__(self, job: Job) -> list[RunRecord]:
        """Run the job. Its records are stored from here, at the storage and where the results folder is in sight, so
        that they survive a driver that dies meanwhile; they go to the driver in any case, who stores them if needed.
        Weights before the record: what has one isn't run again.
        """
        # torch: a driver that only schedules does without it
        from suite.train.trials import train_trials

        load_packages()
        load_files(self.methods)
        snapshots = self._snapshots()
        beats = Running(self.results) if self.results.is_dir() else None
        with Heartbeat([trial.id for trial in job], beats, node_name()) as heart:
            trained = train_trials(job, self.machine, snapshots, heart)
        records: list[RunRecord] = []
        for record, model in trained:
            trial = job[len(records)]
            if record.error is not None:
                record = record.model_copy(update={"error": scrub(record.error)})
            content = _weights(trial, model) if self.keep_weights and model is not None else None
            stored = [keep(record, content) for keep in (self._keep_in_sight, self._keep_at_storage)]
            if any(stored) and snapshots is not None and record.status not in GOING_ON:
                with suppress(InputError):
                    Versions(snapshots, trial.id).clear()
            records.append(record)
        return records

    def _snapshots(self) -> Place | None:
        if self.storage is not None:
            return self.storage.place(SNAPSHOTS, SNAPSHOT_PATIENCE)
        return Store(self.results).snapshots() if self.results.is_dir() else None

    def _keep_in_sight(self, record: RunRecord, weights: bytes | None) -> bool:
        """Whether the record is in the results folder now."""
        if not self.results.is_dir():
            return False
        store = Store(self.results)
        if weights is not None:
            with suppress(InputError):  # the record is worth more; the driver says which weights there aren't
                write_atomic(store.weights(record.trial_id), weights)
        try:
            store.put(record)
        except InputError:  # a full disk, say: the driver will meet it too, and report it
            return False
        return True

    def _keep_at_storage(self, record: RunRecord, weights: bytes | None) -> bool:
        """Whether the record is at the shared address now."""
        if self.storage is None:
            return False
        try:
            if weights is not None:
                self.storage.place(WEIGHTS, RECORD_PATIENCE).write(f"{record.trial_id}.safetensors", weights)
            content = record.model_dump_json().encode()
            self.storage.place(RECORDS, RECORD_PATIENCE).write(f"{record.trial_id}.json", content)
        except InputError as error:
            note(f"a record reaches the driver alone: {error.problems[0].what} ({error.problems[0].found})")
            return False
        return True


def _weights(trial: Trial, model: Model) -> bytes | None:
    """The file of a trained model's weights; None if it can't be made: the record is worth more."""
    from suite.models.weights.checkpoint import checkpoint_bytes

    with suppress(*STRANGERS_ERRORS):
        return checkpoint_bytes(model, trial.model, dataset=trial.dataset.name, trial_id=trial.id)
    return None

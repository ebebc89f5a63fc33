"""Run trials. This is the entry point to training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from suite.grid.trial import Trial
from suite.store.record import RunRecord
from suite.store.storage import Place
from suite.text import note
from suite.train.heartbeat import Heartbeat
from suite.train.machine import Machine
from suite.train.one_attempt import Trained, prepare_attempt, process_for, run_attempt, train_or_fail
from suite.train.timed_steps import seconds_per_step
from suite.train.together import train_together


def run_trial(trial: Trial, machine: Machine | None = None) -> RunRecord:
    """Train and test one trial, and return its record. See `train_trials` for failures and errors."""
    return train_trials([trial], machine)[0][0]


def train_trials(
    trials: Sequence[Trial],
    machine: Machine | None = None,
    snapshots: Place | None = None,
    heart: Heartbeat | None = None,
) -> list[Trained]:
    """Train and test trials that differ only in their seeds. Returns each record, with the model if the trial is done.

    Several trials are trained as one batched program if a measurement shows that this is faster on this machine.
    Otherwise, or if the batched program fails, they are trained one after another. A trial that fails still returns a
    record, with the status diverged, error, timeout or oom. A trial that runs out of memory is retried once, with half
    the micro-batch.

    Args:
        trials: The trials.
        machine: How this machine is used, and how often snapshots are taken.
        snapshots: Where snapshots are kept, under the first trial's id (see `suite.store.versions`). Training resumes
            from an existing snapshot, and produces the same record. The caller removes the snapshot after the record
            is saved.
        heart: Receives progress updates; optional.

    Raises:
        InputError: The data or the teacher is missing or damaged, or the device doesn't exist. Nothing was run.
        MachineFault: An infrastructure error (device, disk, network, another process). It says nothing about the trial.
    """
    machine = machine or Machine()
    if len(trials) == 1:
        return _alone(trials[0], machine, snapshots, heart)
    parts = trials[0].recipe.cpu_micro_batch is not None and machine.torch_device().type == "cpu"
    if parts or machine.micro_batch is not None or machine.processes > 1:
        note(f"{len(trials)} seeds are trained one by one: several at once take whole batches, in one process")
    else:
        together = run_attempt(trials, machine, snapshots, heart)[0] if _stacks(trials, machine) else []
        failed = [record.error or "" for record, _ in together if record.status in ("oom", "error")]
        if together and not failed:
            return together
        if failed:
            note(f"{len(trials)} seeds at once failed and are trained one by one: {failed[0].splitlines()[-1]}")
    return [trained for trial in trials for trained in train_trials([trial], machine, snapshots, heart)]


def _alone(trial: Trial, machine: Machine, snapshots: Place | None, heart: Heartbeat | None) -> list[Trained]:
    attempt = run_attempt if machine.processes == 1 else train_together
    trained, smaller = attempt([trial], machine, snapshots, heart)
    if trained[0][0].status == "oom" and smaller is not None:
        note(f"out of memory, and tried again with {smaller} images at once: {trial.label}")
        trained, _ = attempt([trial], replace(machine, micro_batch=smaller), snapshots, heart)
    return trained


_STACKS: dict[tuple[str, int, Machine], bool] = {}  # cache of this process's measurements


def _stacks(trials: Sequence[Trial], machine: Machine) -> bool:
    """Whether the trials train faster as one batched program than one by one, measured on this machine."""
    key = (trials[0].cell_id, len(trials), machine)
    if key not in _STACKS:
        together, paces = prepare_attempt(trials, machine), list[float]()
        if together.stackable():
            alone = prepare_attempt(trials[:1], machine)

            def measure() -> None:
                paces.extend((seconds_per_step(together), seconds_per_step(alone)))

            with process_for(together.device, machine, alone.compiled):
                train_or_fail(measure, together)
        _STACKS[key] = len(paces) == 2 and paces[0] < len(trials) * paces[1]
    return _STACKS[key]

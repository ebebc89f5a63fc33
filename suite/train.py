"""Run trials: the only part of the suite that trains."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import torch

from suite.attempt import Attempt, Outcome
from suite.data.cache import data_root
from suite.data.images import load_images
from suite.data.teachers import load_teacher
from suite.environment import node_name
from suite.heartbeat import Heartbeat
from suite.machine import Machine
from suite.models.model import Model
from suite.record import RunRecord
from suite.storage import Place
from suite.text import note
from suite.training.memory import release
from suite.training.snapshot import Snapshots
from suite.training.step import IndivisibleError
from suite.trial import Trial
from suite.versions import Versions

Trained = tuple[RunRecord, Model | None]  # the model if the trial is done


def run_trial(trial: Trial, machine: Machine | None = None) -> RunRecord:
    """Train and test one trial: see `train_trials`."""
    return train_trials([trial], machine)[0][0]


def train_trials(
    trials: Sequence[Trial],
    machine: Machine | None = None,
    snapshots: Place | None = None,
    heart: Heartbeat | None = None,
) -> list[Trained]:
    """Train and test trials that differ only in their seeds: their records, and the models of those that are done.

    Several are trained at once, as one batched program, where that is faster here, which is measured; one after
    another where it isn't, or where it fails. Whatever happens in a training is an outcome: a record with status
    diverged, oom or error.

    snapshots: where a training writes its state as it goes on, as `machine` says how often, under its first trial's id
    (see `suite.versions`). If it is there already, the training goes on from it, to the same record. It is the caller's
    to remove once the record is safe. heart: hears how far the training is.

    Raises:
        InputError: the data or the teacher are not prepared or damaged, or the device is not there. Nothing was run.
    """
    machine = machine or Machine()
    if len(trials) == 1:
        return _attempt(trials, machine, snapshots, heart)
    if machine.micro_batch is not None:
        note(f"{len(trials)} seeds are trained one by one: several at once take whole batches")
    else:
        together = _attempt(trials, machine, snapshots, heart) if _stacks(trials, machine) else []
        failed = [record.error or "" for record, _ in together if record.status in ("oom", "error")]
        if together and not failed:
            return together
        if failed:
            note(f"{len(trials)} seeds at once failed and are trained one by one: {failed[0].splitlines()[-1]}")
    return [trained for trial in trials for trained in train_trials([trial], machine, snapshots, heart)]


def _attempt(
    trials: Sequence[Trial], machine: Machine, snapshots: Place | None, heart: Heartbeat | None
) -> list[Trained]:
    started = datetime.now(UTC).isoformat(timespec="seconds")
    attempt = _prepared(trials, machine)
    attempt.heart = heart
    if snapshots is not None:
        about = {"trials": [trial.id for trial in trials], **attempt.environment.model_dump(exclude={"commit"})}
        versions = Versions(snapshots, trials[0].id)
        attempt.snapshots = Snapshots(versions, machine.snapshot_seconds, about, machine.snapshot_epochs)
    with process_for(attempt.device, machine, attempt.compiled):
        failure = _failure(attempt.train, attempt)
    found = []
    for member in attempt.members:
        status, fields = failure or member.outcome()
        record = RunRecord(
            **member.trial.identity,
            status=status,
            started_at=started,
            node=node_name(),
            environment=attempt.environment,
            **{**attempt.so_far(member), **fields},
        )
        found.append((record, member.model))
    return found


def _prepared(trials: Sequence[Trial], machine: Machine) -> Attempt:
    device, root, first = machine.torch_device(), machine.data_root or data_root(), trials[0]
    train, test = (load_images(first.dataset, split, root) for split in ("train", "test"))
    return Attempt(trials, machine, device, train, test, load_teacher(first.recipe, first.dataset, root))


_STACKS: dict[tuple[str, int, Machine], bool] = {}  # of this process: what was measured


def _stacks(trials: Sequence[Trial], machine: Machine) -> bool:
    """Whether the trials are faster at once, on this machine."""
    key = (trials[0].cell_id, len(trials), machine)
    if key not in _STACKS:
        together, paces = _prepared(trials, machine), list[float]()
        if together.stackable():
            alone = _prepared(trials[:1], machine)

            def measure() -> None:
                paces.extend((together.pace(), alone.pace()))

            with process_for(together.device, machine, alone.compiled):
                _failure(measure, together)
        _STACKS[key] = len(paces) == 2 and paces[0] < len(trials) * paces[1]
    return _STACKS[key]


@contextmanager
def process_for(device: torch.device, machine: Machine, compiled: bool) -> Iterator[None]:
    """Threads, generators and settings of this process for a training, and as they were after it."""
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    try:
        torch.set_num_threads(machine.threads)
        if machine.deterministic:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS may add in any order
            torch.use_deterministic_algorithms(True)
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            yield
    finally:
        torch.use_deterministic_algorithms(strict)
        torch.set_num_threads(threads)
        if compiled:
            torch.compiler.reset()  # the ninth compiled model of a process would run as it is, with one line in a log
        release(device)


def smaller_micro_batch(trial: Trial, machine: Machine) -> int | None:
    """The `micro_batch` to try for a trial whose memory is out on such a machine; None: no smaller one can be."""
    attempt = _prepared([trial], machine)
    attempt.trainer()
    return attempt.smaller_micro_batch()


def _failure(train: Callable[[], None], attempt: Attempt) -> Outcome | None:
    """Train; what became of it if anything was raised."""
    try:
        train()
    except IndivisibleError as error:
        return "error", {"error": str(error)}
    except Exception as error:  # whatever a model or a recipe can raise is that trial's outcome, not the grid's
        last = "\n".join(traceback.format_exc().rstrip().splitlines()[-12:])
        if not _is_out_of_memory(error):
            return "error", {"error": last}
        batch, smaller = attempt.recipe.batch_size, attempt.smaller_micro_batch()
        told = f"out of memory with {attempt.images_at_once or batch} images at once"
        if smaller is not None:
            told += f"; next to try: --micro-batch {smaller}"
        elif batch > 1:
            told += f"; next to try: --set recipe.batch_size={batch // 2}, which is another training"
        return "oom", {"error": f"{told}\n{last}"}
    return None


def _is_out_of_memory(error: Exception) -> bool:
    # On a CPU torch has no class for it.
    return isinstance(error, (torch.cuda.OutOfMemoryError, MemoryError)) or "DefaultCPUAllocator" in str(error)

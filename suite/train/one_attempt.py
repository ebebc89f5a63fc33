"""One attempt at a trial: train, and turn what happened into a record."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import torch

from suite.data.cache import data_root
from suite.data.images import load_images
from suite.grid.trial import Trial
from suite.models.model import Model
from suite.store.environment import node_name
from suite.store.record import RunRecord
from suite.store.storage import Place
from suite.store.versions import Versions
from suite.train.attempt import Attempt
from suite.train.faults import MachineFault, TimeLimitError, ending, is_machine_fault, is_out_of_memory
from suite.train.heartbeat import Heartbeat
from suite.train.machine import Machine
from suite.train.member import Outcome
from suite.train.parallel.synchronised import IndivisibleError
from suite.train.parallel.team import ALONE, Team
from suite.train.snapshot import Snapshots, TeamSnapshots
from suite.train.steps.memory import release
from suite.train.teachers import load_teacher

Trained = tuple[RunRecord, Model | None]  # the model if the trial is done


def run_attempt(
    trials: Sequence[Trial], machine: Machine, snapshots: Place | None, heart: Heartbeat | None, team: Team = ALONE
) -> tuple[list[Trained], int | None]:
    """The records and models of the trials, and the micro-batch to try next if memory was out."""
    started = datetime.now(UTC).isoformat(timespec="seconds")
    attempt = prepare_attempt(trials, machine, team)
    attempt.heart = heart
    if snapshots is not None:
        about = {
            "trials": [trial.id for trial in trials],
            "code": [trial.code for trial in trials],  # a snapshot of other code is another training's
            **attempt.environment.model_dump(exclude={"commit"}),
        }
        versions = Versions(snapshots, trials[0].id)
        own = Snapshots(versions, machine.snapshot_seconds, about, machine.snapshot_epochs)
        attempt.snapshots = own if team.size == 1 else TeamSnapshots(own if team.leads else None, team)
    failure: Outcome | None = None
    try:
        with process_for(attempt.device, machine, attempt.compiled):
            failure = train_or_fail(attempt.train, attempt)
    except RuntimeError:  # a device that failed can't be tidied up either
        if failure is None:
            raise
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
    return found, attempt.smaller_micro_batch()


def prepare_attempt(trials: Sequence[Trial], machine: Machine, team: Team = ALONE) -> Attempt:
    """An attempt at the trials, with their data and teacher loaded."""
    device, root, first = machine.torch_device(team.rank), machine.data_root or data_root(), trials[0]
    train, test = (load_images(first.dataset, split, root) for split in ("train", "test"))
    return Attempt(trials, machine, device, train, test, load_teacher(first.recipe, first.dataset, root), team)


@contextmanager
def process_for(device: torch.device, machine: Machine, compiled: bool) -> Iterator[None]:
    """Set the threads, generators and settings of this process for training, and restore them afterwards."""
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


def train_or_fail(train: Callable[[], None], attempt: Attempt) -> Outcome | None:
    """Train. Returns the outcome if the trial failed, else None.

    Raises:
        MachineFault: it was an infrastructure error.
    """
    try:
        train()
    except (IndivisibleError, TimeLimitError) as error:
        return "timeout" if isinstance(error, TimeLimitError) else "error", {"error": str(error)}
    except Exception as error:  # whatever a model or a recipe can raise is that trial's outcome, not the grid's
        last = ending(traceback.format_exc())
        if is_out_of_memory(error):
            return "oom", {"error": f"{_advice(attempt)}\n{last}"}
        if is_machine_fault(error):
            raise MachineFault(last, node_name()) from None
        return "error", {"error": last}
    return None


def _advice(attempt: Attempt) -> str:
    """What was too much for the memory, and what to try."""
    batch, smaller = attempt.recipe.batch_size, attempt.smaller_micro_batch()
    told = f"out of memory with {attempt.images_at_once or batch} images at once"
    if smaller is not None:
        return f"{told}; next to try: --micro-batch {smaller}"
    if attempt.images_at_once is not None and not attempt.divisible:
        told += ", of a model with statistics over the batch, which can't be taken in parts"
    if batch > 1:
        told += f"; next to try: --set recipe.batch_size={batch // 2}, which is another training"
    return told

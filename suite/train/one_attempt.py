"""Make one attempt at a trial: train it, and turn the outcome into a record."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import torch

from suite.data.cache import data_root
from suite.data.corruptions.images import load_corrupted
from suite.data.images import load_images
from suite.errors import STRANGERS_ERRORS
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
from suite.train.other_models import load_other_models
from suite.train.parallel.synchronised import IndivisibleError
from suite.train.parallel.team import ALONE, Team
from suite.train.snapshot import Snapshots, TeamSnapshots
from suite.train.steps.memory import release

Trained = tuple[RunRecord, Model | None]  # the model only if the trial's status is done


def run_attempt(
    trials: Sequence[Trial], machine: Machine, snapshots: Place | None, heart: Heartbeat | None, team: Team = ALONE
) -> tuple[list[Trained], int | None]:
    """Train the trials once. Returns their records and models, and the micro-batch to try if memory ran out.

    Args:
        trials: The trials. They differ only in their seeds.
        machine: How this machine is used.
        snapshots: Where snapshots are kept; None: no snapshots.
        heart: Receives progress updates; optional.
        team: The processes that run this attempt together.

    Raises:
        InputError: The data or the weights of another model are missing or damaged, or the device doesn't exist.
        MachineFault: An infrastructure error.
    """
    started = datetime.now(UTC).isoformat(timespec="seconds")
    code = [trial.code for trial in trials]  # each keeps it: the files may change while the trials are trained
    attempt = prepare_attempt(trials, machine, team)
    attempt.heart = heart
    if snapshots is not None:
        about = {
            "trials": [trial.id for trial in trials],
            "code": code,  # a snapshot of other code is another training's
            **attempt.environment.model_dump(exclude={"commit"}),
        }
        versions = Versions(snapshots, trials[0].id)
        own = Snapshots(versions, machine.snapshot_seconds, about, machine.snapshot_epochs)
        attempt.snapshots = own if team.size == 1 else TeamSnapshots(own if team.leads else None, team)
    failure: Outcome | None = None
    try:
        with process_for(attempt.device, machine, attempt.compiled):
            failure = train_or_fail(attempt.train, attempt)
    except RuntimeError:  # cleaning up after a failed device fails too; the outcome is known by then
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
    """Create an attempt at the trials, with their data and other models' weights loaded.

    Missing corrupted copies are made.

    Args:
        trials: The trials. They differ only in their seeds.
        machine: How this machine is used.
        team: The processes that run this attempt together.

    Raises:
        InputError: The data or the weights of another model are missing or damaged, or the device doesn't exist.
    """
    device, root, first = machine.torch_device(team.rank), machine.data_root or data_root(), trials[0]
    train, test = (load_images(first.dataset, split, root) for split in ("train", "test"))
    recipe, corrupted = first.recipe, None
    if recipe.corruptions is not None:
        corrupted = load_corrupted(first.dataset, recipe.corruptions, recipe.test_crop_ratio, root, test)
    return Attempt(trials, machine, device, train, test, load_other_models(first, root), team, corrupted)


@contextmanager
def process_for(device: torch.device, machine: Machine, compiled: bool) -> Iterator[None]:
    """Set up this process's torch threads, generators and settings for training, and restore them afterwards.

    Args:
        device: The device to train on.
        machine: Sets the number of threads, and whether to use deterministic algorithms.
        compiled: Whether models are compiled; if so, the compiler is reset afterwards.
    """
    threads, mode = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    try:
        torch.set_num_threads(machine.threads)
        if machine.deterministic:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS's sum order may vary
            _set_deterministic(2, compiled)
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            yield
    finally:
        _set_deterministic(mode, compiled)
        torch.set_num_threads(threads)
        if compiled:
            torch.compiler.reset()  # else torch would run a process's ninth compiled model uncompiled, and only log it
        release(device)


def _set_deterministic(mode: int, compiled: bool) -> None:
    """Set torch's deterministic debug mode (0: off, 1: warnings, 2: errors), and the compiler's where it is in use.

    `torch.use_deterministic_algorithms` alone sets the same flag, but it imports the compiler, which takes two seconds.
    """
    if compiled:
        torch.use_deterministic_algorithms(mode > 0, warn_only=mode == 1)
    torch.set_deterministic_debug_mode(mode)


def train_or_fail(train: Callable[[], None], attempt: Attempt) -> Outcome | None:
    """Call `train`. Returns the outcome if the trial failed, else None.

    Raises:
        MachineFault: An infrastructure error.
    """
    try:
        train()
    except (IndivisibleError, TimeLimitError) as error:
        return "timeout" if isinstance(error, TimeLimitError) else "error", {"error": str(error)}
    except STRANGERS_ERRORS as error:  # an error in one trial's model or recipe must not stop the grid
        last = ending(traceback.format_exc())
        if is_out_of_memory(error):
            return "oom", {"error": f"{_advice(attempt)}\n{last}"}
        if is_machine_fault(error):
            raise MachineFault(last, node_name()) from None
        return "error", {"error": last}
    return None


def _advice(attempt: Attempt) -> str:
    """A message that says what ran out of memory and what to try."""
    batch, smaller = attempt.recipe.batch_size, attempt.smaller_micro_batch()
    told = f"out of memory with {attempt.images_at_once or batch} images at once"
    if smaller is not None:
        return f"{told}; next to try: --micro-batch {smaller}"
    if attempt.images_at_once is not None and not attempt.divisible:
        told += ", of a model with statistics over the batch, which can't be taken in parts"
    if batch > 1:
        told += f"; next to try: --set recipe.batch_size={batch // 2}, which is another training"
    return told

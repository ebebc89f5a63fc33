"""Run trials: the only part of the suite that trains."""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime

import torch
from safetensors.torch import load, save

from suite.attempt import Attempt, Outcome
from suite.data.cache import data_root
from suite.data.images import load_images
from suite.data.teachers import load_teacher
from suite.errors import InputError, Problem
from suite.faults import MachineFault, TimeLimitError, ending, is_machine_fault, is_out_of_memory
from suite.grid.trial import Trial
from suite.heartbeat import Heartbeat
from suite.machine import Machine
from suite.models.build import build_model
from suite.models.model import Model
from suite.store.canonical import canonical_json
from suite.store.environment import describe, node_name
from suite.store.record import RunRecord
from suite.store.storage import Place
from suite.store.versions import Versions
from suite.text import note
from suite.training.memory import release
from suite.training.precision import choose_precision
from suite.training.processes import Found, LostError, work_together
from suite.training.snapshot import Snapshots, TeamSnapshots
from suite.training.synchronised import IndivisibleError
from suite.training.team import ALONE, Team

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
    another where it isn't, or where it fails. Whatever a trial does is an outcome: a record with status diverged,
    error, timeout or oom. Where memory is out it is tried once more, with half as many images at once.

    snapshots: where a training writes its state as it goes on, as `machine` says how often, under its first trial's id
    (see `suite.store.versions`). If it is there already, the training goes on from it, to the same record. It is
    the caller's to remove once the record is safe. heart: hears how far the training is.

    Raises:
        InputError: the data or the teacher are not prepared or damaged, or the device is not there. Nothing was run.
        MachineFault: device, disk, network or a neighbour failed: that says nothing of the trial.
    """
    machine = machine or Machine()
    if len(trials) == 1:
        return _alone(trials[0], machine, snapshots, heart)
    if machine.micro_batch is not None or machine.processes > 1:
        note(f"{len(trials)} seeds are trained one by one: several at once take whole batches, in one process")
    else:
        together = _attempt(trials, machine, snapshots, heart)[0] if _stacks(trials, machine) else []
        failed = [record.error or "" for record, _ in together if record.status in ("oom", "error")]
        if together and not failed:
            return together
        if failed:
            note(f"{len(trials)} seeds at once failed and are trained one by one: {failed[0].splitlines()[-1]}")
    return [trained for trial in trials for trained in train_trials([trial], machine, snapshots, heart)]


def _alone(trial: Trial, machine: Machine, snapshots: Place | None, heart: Heartbeat | None) -> list[Trained]:
    attempt = _attempt if machine.processes == 1 else _together
    trained, smaller = attempt([trial], machine, snapshots, heart)
    if trained[0][0].status == "oom" and smaller is not None:
        note(f"out of memory, and tried again with {smaller} images at once: {trial.label}")
        trained, _ = attempt([trial], replace(machine, micro_batch=smaller), snapshots, heart)
    return trained


def _attempt(
    trials: Sequence[Trial], machine: Machine, snapshots: Place | None, heart: Heartbeat | None, team: Team = ALONE
) -> tuple[list[Trained], int | None]:
    """What came of the trials, and the micro-batch to try next where memory was out."""
    started = datetime.now(UTC).isoformat(timespec="seconds")
    attempt = _prepared(trials, machine, team)
    attempt.heart = heart
    if snapshots is not None:
        about = {"trials": [trial.id for trial in trials], **attempt.environment.model_dump(exclude={"commit"})}
        versions = Versions(snapshots, trials[0].id)
        own = Snapshots(versions, machine.snapshot_seconds, about, machine.snapshot_epochs)
        attempt.snapshots = own if team.size == 1 else TeamSnapshots(own if team.leads else None, team)
    failure: Outcome | None = None
    try:
        with process_for(attempt.device, machine, attempt.compiled):
            failure = _failure(attempt.train, attempt)
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


class _Echo(Heartbeat):
    """Passes on what it hears, as a news of (epochs, steps, device) or (epoch, step, images) in JSON."""

    def __init__(self, tell: Callable[[bytes], None]) -> None:
        super().__init__([], None)
        self._tell = tell

    def trains(self, *news: int | str) -> None:
        self._tell(canonical_json(["trains", *news]).encode())

    def stepped(self, *news: int) -> None:
        self._tell(canonical_json(["stepped", *news]).encode())


def _together(
    trials: Sequence[Trial], machine: Machine, snapshots: Place | None, heart: Heartbeat | None
) -> tuple[list[Trained], int | None]:
    """As `_attempt`, of one trial by several processes."""
    (trial,) = trials
    started = datetime.now(UTC).isoformat(timespec="seconds")
    device = machine.torch_device()

    def hear(news: bytes) -> None:
        kind, *told = json.loads(news)
        if heart is not None:
            (heart.trains if kind == "trains" else heart.stepped)(*told)

    try:
        _, found = work_together(
            _take_part, machine.processes, (trial, machine, snapshots), hear, on_gpus=device.type == "cuda"
        )
    except LostError as lost:
        if not lost.silent:
            raise MachineFault(str(lost), node_name()) from None
        return [(_silent(trial, machine, device, started, str(lost)), None)], None
    header, _, weights = found.partition(b"\n")
    told = json.loads(header)
    if "problems" in told:
        raise InputError(problems=[Problem(**problem) for problem in told["problems"]])
    if "fault" in told:
        raise MachineFault(told["fault"], node_name())
    model = None
    if weights:
        model = build_model(trial.model)
        model.load_state_dict(load(weights))
    return [(RunRecord.model_validate(told["record"]), model)], told["smaller"]


def _take_part(team: Team, trial: Trial, machine: Machine, snapshots: Place | None) -> Found:
    """What each of the processes does: it finds, in a line of JSON, the record, the bad input or the machine's fault;
    then the weights.
    """
    if machine.torch_device(team.rank).type == "cuda":
        torch.cuda.set_device(team.rank)
    heart = _Echo(team.tell) if team.leads else None
    try:
        ((record, model),), smaller = _attempt([trial], machine, snapshots, heart, team)
    except InputError as error:
        return False, canonical_json({"problems": [asdict(problem) for problem in error.problems]}).encode()
    except MachineFault as fault:
        return False, canonical_json({"fault": fault.reason}).encode()
    header = canonical_json({"record": record.model_dump(mode="json"), "smaller": smaller}).encode()
    weights = b""
    if model is not None and team.leads:
        weights = save({name: value.cpu().contiguous() for name, value in model.state_dict().items()})
    # A training that has diverged did so in all processes; what else may fail can have failed in this one alone.
    return record.status in ("done", "diverged"), header + b"\n" + weights


def _silent(trial: Trial, machine: Machine, device: torch.device, started: str, told: str) -> RunRecord:
    """The record of a trial whose processes hung."""
    return RunRecord(
        **trial.identity,
        status="timeout",
        epochs=0,
        started_at=started,
        node=node_name(),
        environment=describe(
            torch.__version__,
            torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
            choose_precision(trial.recipe, device).name,
            machine.threads,
            micro_batch=machine.micro_batch,
            processes=machine.processes,
        ),
        error=told,
    )


def _prepared(trials: Sequence[Trial], machine: Machine, team: Team = ALONE) -> Attempt:
    device, root, first = machine.torch_device(team.rank), machine.data_root or data_root(), trials[0]
    train, test = (load_images(first.dataset, split, root) for split in ("train", "test"))
    return Attempt(trials, machine, device, train, test, load_teacher(first.recipe, first.dataset, root), team)


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


def _failure(train: Callable[[], None], attempt: Attempt) -> Outcome | None:
    """Train; what became of it if the trial failed.

    Raises:
        MachineFault: it was not the trial that failed.
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

"""Data-parallel training: one trial on several processes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime

import torch
from safetensors.torch import load, save

from suite.errors import InputError, Problem
from suite.grid.methods import MethodFile, load_files, load_packages, loaded_files
from suite.grid.trial import Trial
from suite.models.backbone_size import body_of
from suite.models.build import build_model
from suite.store.canonical import canonical_json
from suite.store.environment import describe, node_name
from suite.store.record import RunRecord
from suite.store.storage import Place
from suite.train.faults import MachineFault
from suite.train.heartbeat import Heartbeat
from suite.train.machine import Machine, device_name
from suite.train.one_attempt import Trained, run_attempt
from suite.train.parallel.processes import Found, LostError, work_together
from suite.train.parallel.team import Team
from suite.train.steps.precision import choose_precision


class _Echo(Heartbeat):
    """Forwards progress updates to the parent process as JSON.

    The arguments are those of `Heartbeat`: (epochs, steps, device) of `trains`, (epoch, step, images) of `stepped`.
    """

    def __init__(self, tell: Callable[[bytes], None]) -> None:
        super().__init__([], None)
        self._tell = tell

    def trains(self, *news: int | str) -> None:
        self._tell(canonical_json(["trains", *news]).encode())

    def stepped(self, *news: int) -> None:
        self._tell(canonical_json(["stepped", *news]).encode())


def train_together(
    trials: Sequence[Trial], machine: Machine, snapshots: Place | None, heart: Heartbeat | None
) -> tuple[list[Trained], int | None]:
    """Like `run_attempt`, for one trial on several processes.

    Args:
        trials: Exactly one trial.
        machine: How this machine is used, and the number of processes.
        snapshots: Where snapshots are kept; None: no snapshots.
        heart: Receives progress updates; optional.

    Raises:
        InputError: The data or the teacher is missing or damaged, or a device doesn't exist.
        MachineFault: An infrastructure error, such as a process that was killed.
    """
    (trial,) = trials
    started = datetime.now(UTC).isoformat(timespec="seconds")
    device = machine.torch_device()

    def hear(news: bytes) -> None:
        kind, *told = json.loads(news)
        if heart is not None:
            (heart.trains if kind == "trains" else heart.stepped)(*told)

    try:
        _, found = work_together(
            _take_part,
            machine.processes,
            (loaded_files(), trial, machine, snapshots),
            hear,
            on_gpus=device.type == "cuda",
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


def _take_part(
    team: Team, methods: tuple[MethodFile, ...], trial: Trial, machine: Machine, snapshots: Place | None
) -> Found:
    """Run the attempt in one of the processes.

    Args:
        team: The group of processes.
        methods: The method files that the trial may use.
        trial: The trial.
        machine: How this machine is used.
        snapshots: Where snapshots are kept; None: no snapshots.

    Returns:
        Whether the attempt succeeded, and bytes: a line of JSON with the record, the input errors or the infrastructure
        error. The weights follow, only from the leader and only if the trial is done.
    """
    if machine.torch_device(team.rank).type == "cuda":
        torch.cuda.set_device(team.rank)
    heart = _Echo(team.tell) if team.leads else None
    try:
        load_packages()
        load_files(methods)
        ((record, model),), smaller = run_attempt([trial], machine, snapshots, heart, team)
    except InputError as error:
        return False, canonical_json({"problems": [asdict(problem) for problem in error.problems]}).encode()
    except MachineFault as fault:
        return False, canonical_json({"fault": fault.reason}).encode()
    header = canonical_json({"record": record.model_dump(mode="json"), "smaller": smaller}).encode()
    weights = b""
    if model is not None and team.leads:
        weights = save({name: value.cpu().contiguous() for name, value in model.state_dict().items()})
    # A training run diverges in all processes alike. Any other failure may be this process's alone.
    return record.status in ("done", "diverged"), header + b"\n" + weights


def _silent(trial: Trial, machine: Machine, device: torch.device, started: str, told: str) -> RunRecord:
    """The record, with status "timeout", of a trial whose processes stopped responding.

    Args:
        trial: The trial.
        machine: How this machine is used.
        device: The device of the trial.
        started: When the attempt started, in UTC.
        told: The error message.
    """
    return RunRecord(
        **trial.identity,
        status="timeout",
        epochs=0,
        started_at=started,
        node=node_name(),
        environment=describe(
            torch.__version__,
            device_name(device),
            choose_precision(trial.recipe, device).name,
            machine.threads,
            micro_batch=machine.micro_batch,
            processes=machine.processes,
            timm=body_of(trial.arch).library_version,
        ),
        error=told,
    )

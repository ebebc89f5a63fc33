"""`lape run` and `lape rerun`: the commands that train."""

from __future__ import annotations

import signal
from collections.abc import Collection, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.console import Console

from suite.commands.overview import open_console, print_outcome, print_plan_line, print_weights
from suite.data.cache import open_root
from suite.errors import InputError, nearest
from suite.grid.trial import Trial
from suite.report.workspace import Workspace, open_workspace
from suite.run.curves import Curves, check_curves
from suite.run.driver import Execute, run_missing
from suite.run.events import Listener
from suite.run.plan import Plan
from suite.run.policy import Policy
from suite.run.prepared import Prepared, needed
from suite.run.progress import ProgressDisplay
from suite.run.queue import Queue
from suite.run.ray.capacity import Needs
from suite.run.ray.dashboard import check_dashboard
from suite.run.serial import run_serial
from suite.run.timekeeping import Timekeeper
from suite.run.worker import Worker
from suite.store.files import make_folder
from suite.store.record import FAILURES, VOLATILE, RunRecord
from suite.store.shared_store import SharedStore
from suite.store.storage import open_storage
from suite.text import note
from suite.train.faults import MachineFault
from suite.train.machine import Machine

EXECUTORS = ("ray", "serial")


def run_grid(
    workspace: Workspace,
    *,
    executor: str,
    address: str | None,
    limit: int | None,
    retry: str,
    machine: Machine,
    policy: Policy,
    gpus_per_trial: float | None,
    keep_weights: bool,
    dashboard: bool,
    curves: Path | None,
    storage: str | None = None,
) -> bool:
    """Run what is missing, then print the table and the verdicts and write the report. Is the grid done?"""
    console = open_console()
    root = open_root(machine.data_root)
    machine = replace(machine, data_root=root)
    if executor not in EXECUTORS:
        raise InputError(
            f"unknown executor {executor!r}",
            expected="ray or serial",
            found=repr(executor),
            where="--executor",
            fix=nearest(executor, EXECUTORS),
        )
    if dashboard:
        if executor != "ray" or address is not None:
            raise InputError(
                "a dashboard of a cluster that isn't started here",
                expected="--dashboard with --executor ray and without --address",
                found="--executor serial" if executor != "ray" else f"--address {address}",
                where="--dashboard",
                fix="leave it out: a cluster of its own has a dashboard on its head, and a serial run has none",
            )
        check_dashboard()
    if curves is not None:
        check_curves(curves)
    statuses = _statuses(retry)
    Needs(machine.threads, gpus_per_trial or 0.0)  # a fraction that can't be is told before a cluster is looked for
    machine = _one_process_for_each_gpu(machine, gpus_per_trial)
    _check_batches(workspace.expansion.trials, machine)
    make_folder(workspace.report_folder)
    _ = workspace.claims  # a claim file that can't be read is told before the training, not after it
    data = needed(workspace.expansion.trials, root)
    if address is None or executor == "serial":
        data()  # a cluster's nodes are asked each for itself, once there is something to do

    told: str | None = None
    store, shared = workspace.store, None
    if storage is not None:
        shared = open_storage(storage, workspace.grid.name)
        shared.check()
        store = SharedStore(store.folder, shared)

    with ExitStack() as stack:

        def open_display(plan: Plan) -> Listener:
            print_plan_line(console, workspace, plan)
            trials = plan.to_do[:limit]
            expected = workspace.estimate(trials, 1 if executor == "serial" else None)
            display = stack.enter_context(ProgressDisplay(console, trials, expected))
            shown = display if curves is None else Curves(display, curves)
            keepers.append(Timekeeper(shown, trials, expected, workspace.store.folder))
            return keepers[-1]

        def execute(queue: Queue) -> None:
            # Only now: a run that has nothing to do needs neither torch nor Ray.
            worker = Worker(machine, store.folder, keep_weights, shared)
            _executor(executor, worker, gpus_per_trial, address, data, dashboard)(queue)

        keepers: list[Timekeeper] = []
        try:
            plan = run_missing(
                workspace.expansion, store, execute, open_display, policy=policy, retry=statuses, limit=limit
            )
        finally:
            for keeper in keepers:
                with suppress(InputError):  # the disk is full: what ended the run is told, or what it ended with
                    told = keeper.close().verdict
    print_outcome(console, replace(workspace))  # a copy, which reads the records anew
    for line in _changed(workspace):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    if told:
        console.print(f"time: {told}", highlight=False, markup=False, soft_wrap=True)
    if keep_weights:
        print_weights(console, workspace, plan)
    return len(plan.done) == plan.total


def _changed(workspace: Workspace) -> list[str]:
    """What to say if the grid's files have changed since the run began: it went by what they said then."""
    try:
        now = workspace.grid.reloaded().expand()
    except InputError as error:
        return [f"the grid changed during the run and can't be read now: {error.problems[0].what}; what ran is kept"]
    new, gone = now.ids - workspace.expansion.ids, workspace.expansion.ids - now.ids
    if not new and not gone:
        return []
    told = f"the grid changed during the run, which went by its old text: {len(new)} trials are new"
    return [f"{told}, {len(gone)} no longer in it; what ran is kept, and `{workspace.command}` runs what is new"]


def _one_process_for_each_gpu(machine: Machine, gpus_per_trial: float | None) -> Machine:
    """How the machine is used by trials with so many GPUs: several train a trial together."""
    if gpus_per_trial is None or gpus_per_trial < 2 or machine.device == "cpu":
        return machine
    if machine.processes not in (1, gpus_per_trial):
        raise InputError(
            "a number of processes that isn't that of the GPUs",
            expected=f"{gpus_per_trial:g}, one for each GPU of a trial",
            found=str(machine.processes),
            where=f"--processes {machine.processes}",
            fix="leave it out",
        )
    return replace(machine, processes=int(gpus_per_trial))


def _gpus(machine: Machine, gpus_per_trial: float | None) -> float | None:
    """What a trial asks Ray for; None: a GPU, where there is one."""
    if machine.device == "cpu":
        return 0
    if gpus_per_trial is None and machine.processes > 1:
        return machine.processes if machine.device == "cuda" else 0
    return gpus_per_trial


def _check_batches(trials: Sequence[Trial], machine: Machine) -> None:
    """Refuse what the smallest batch can't be cut into."""
    smallest = min((trial.recipe.batch_size for trial in trials), default=None)
    for asked, found, what in (
        ("--micro-batch", machine.micro_batch, "a micro-batch that is larger than the batch"),
        ("--processes", machine.processes, "more processes than images in a batch"),
    ):
        if found is not None and smallest is not None and found > smallest:
            raise InputError(
                what,
                expected=f"at most {smallest}, the batch size of the recipe",
                found=str(found),
                where=f"{asked} {found}",
                fix="lower it, or leave it out",
            )


def _executor(
    name: str, worker: Worker, gpus_per_trial: float | None, address: str | None, data: Prepared, dashboard: bool
) -> Execute:
    machine = worker.machine
    if name == "serial":
        machine.torch_device()  # say now if it is not there
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C, which stores what has finished
        return lambda queue: run_serial(queue, worker)
    from suite.run.ray.tune import Resources, run_ray

    resources = Resources(cpus=machine.threads * machine.processes, gpus=_gpus(machine, gpus_per_trial))
    check = None if address is None else data
    return lambda queue: run_ray(queue, worker, resources=resources, address=address, dashboard=dashboard, check=check)


def _statuses(text: str) -> Collection[str]:
    statuses = [part.strip() for part in text.split(",") if part.strip()]
    for status in statuses:
        if status not in FAILURES:
            raise InputError(
                f"can't retry trials by the status {status!r}",
                expected=f"statuses of failures: {', '.join(FAILURES)}",
                found=repr(status),
                where=f"--retry {text}",
                fix=nearest(status, FAILURES),
            )
    return statuses


def rerun_trial(
    trial_id: str,
    grid: str | None,
    overrides: Sequence[str],
    seeds: int | None,
    results: Path,
    *,
    machine: Machine,
    weights: Path | None,
) -> bool:
    """Train one trial again and compare it with its record; store it if there is none. Is it the same?

    weights: a file for the weights, if the training is done.
    """
    from suite.models.weights.checkpoint import check_name, write_checkpoint
    from suite.train.trials import train_trials

    machine = replace(machine, data_root=open_root(machine.data_root))
    workspace, trial = _find(trial_id, grid, overrides, seeds, results)
    _check_batches([trial], machine)
    if weights is not None:
        check_name(weights)
    console = open_console()
    console.print(f"{trial.id}  {trial.label}", highlight=False)
    try:
        ((record, model),) = train_trials([trial], machine)
    except MachineFault as fault:
        raise InputError(
            "the machine failed, not the trial",
            expected="a device, a disk and a network that work",
            found=fault.reason.splitlines()[-1],
            where=str(fault.node),
            fix="run the same command again, here or on another machine",
        ) from None
    console.print(_told("now", record), highlight=False)
    same = _compare(console, workspace, record)
    if weights is not None and model is not None:
        write_checkpoint(weights, model, trial.model, dataset=trial.dataset.name, trial_id=trial.id)
        console.print(f"weights: {weights}", highlight=False, markup=False, soft_wrap=True)
    return same


def _compare(console: Console, workspace: Workspace, record: RunRecord) -> bool:
    """Say in what a run differs from the stored one; store it if there is none. Is it the same?"""
    stored = workspace.records.get(record.trial_id)
    if stored is None:
        with workspace.store.lock():
            workspace.store.put(record)
            workspace.store.collect()
        console.print("there was no record of it; this one is stored", highlight=False)
        return record.status == "done"
    console.print(_told("stored", stored), highlight=False)
    ignored = {*VOLATILE, "history", "environment", "grid", "recipe", "arch"}
    values = [run.model_dump(exclude=ignored) for run in (record, stored)]
    different = [name for name in values[0] if values[0][name] != values[1][name]]
    if different and record.environment != stored.environment:
        console.print(f"made by {stored.environment.group}; now {record.environment.group}", highlight=False)
    console.print("the same" if not different else f"different in {', '.join(different)}", highlight=False)
    return not different


def _told(when: str, record: RunRecord) -> str:
    result = "–" if record.top1 is None else f"{record.top1:.2f} % (best epoch {record.top1_best_epoch:.2f} %)"
    return f"{when + ':':<8}{record.status}, {result}, {record.epochs} epochs"


def _find(
    trial_id: str, grid: str | None, overrides: Sequence[str], seeds: int | None, results: Path
) -> tuple[Workspace, Trial]:
    """The one trial whose id begins so, in one grid or in all of grids/."""
    grids = [grid] if grid is not None else sorted(str(path) for path in Path("grids").glob("*.yaml"))
    open_one = partial(open_workspace, overrides=overrides, seeds=seeds, results=results, reports=Path("reports"))
    found: dict[str, tuple[Workspace, Trial]] = {}
    for name in grids:
        try:
            workspace = open_one(name)
        except InputError as error:
            if grid is not None:
                raise
            note(f"{name} is left out, `lape check {name}` tells why: {error.problems[0].what}")
            continue
        for trial in workspace.expansion.trials:
            if trial.id.startswith(trial_id.lower()):
                found.setdefault(trial.id, (workspace, trial))
    if len(found) != 1:
        raise InputError(
            f"{'no' if not found else 'more than one'} trial has an id that begins with {trial_id!r}",
            expected="the id of one trial",
            found=", ".join(list(found)[:5]) or "none",
            where=", ".join(grids) or "grids/",
            fix="take an id from runs.jsonl or from `lape status GRID`, and name its grid with --grid",
        )
    return next(iter(found.values()))

"""`lape run` and `lape rerun`: the commands that train."""

from __future__ import annotations

import signal
from collections.abc import Collection, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

from suite.cli.commands.console import open_console
from suite.cli.commands.plan import print_plan_line
from suite.cli.commands.report import print_outcome, print_weights
from suite.data.cache import open_root
from suite.errors import InputError, unknown
from suite.grid.trial import Trial
from suite.report.workspace import Workspace
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
from suite.store.record import FAILURES
from suite.store.shared_store import SharedStore
from suite.store.storage import open_storage
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
        raise unknown("executor", executor, EXECUTORS, where="--executor")
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
    check_batches(workspace.expansion.trials, machine)
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


def check_batches(trials: Sequence[Trial], machine: Machine) -> None:
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
            raise unknown("status of a failure", status, FAILURES, where=f"--retry {text}")
    return statuses

"""`lape run`: train what is missing of a grid, then show what came of it."""

from __future__ import annotations

import signal
from collections.abc import Collection, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace

from suite.cli.commands.check_stale import check_stale
from suite.cli.commands.console import open_console, print_line
from suite.cli.commands.execution import Execution
from suite.cli.commands.plan import print_plan_line
from suite.cli.commands.precision_note import note_slow_bf16
from suite.cli.commands.report import print_outcome, print_weights
from suite.cli.commands.run_events import EventStream
from suite.cli.commands.thread_note import note_threads
from suite.data.cache import open_root
from suite.errors import InputError, unknown
from suite.grid.trial import Trial
from suite.report.workspace import Workspace
from suite.run.curves import Curves
from suite.run.driver import Execute, keep_methods, run_missing
from suite.run.events import Listener, fan_out
from suite.run.outcomes import Outcomes
from suite.run.phases import next_phase, whole_plan
from suite.run.plan import Plan
from suite.run.policy import Policy
from suite.run.prepared import Prepared, needed
from suite.run.progress import ProgressDisplay
from suite.run.queue import Decide, Queue
from suite.run.ray.capacity import Needs
from suite.run.ray.early import EarlyRay
from suite.run.serial import run_serial
from suite.run.stale import stale_answer
from suite.run.timekeeping import Timekeeper
from suite.run.timing.estimate import Estimate, Where
from suite.run.timing.here import anywhere, here
from suite.run.worker import Worker
from suite.store.files import make_folder
from suite.store.record import FAILURES
from suite.store.shared_store import SharedStore
from suite.store.storage import open_storage
from suite.text import counted
from suite.train.machine import Machine


def run_grid(
    workspace: Workspace,
    execution: Execution,
    *,
    machine: Machine,
    policy: Policy,
    limit: int | None,
    retry: str,
    stale: str = "",
    decide: Decide | None = None,
    shown: Workspace | None = None,
    as_json: bool = False,
) -> bool:
    """Run what is missing, then print the table and the verdicts and write the report.

    Args:
        workspace: The grid with its results.
        execution: How trials are run.
        machine: How this machine, or each of a cluster, is used.
        policy: What is done about failures.
        limit: Run at most so many trials now.
        retry: Statuses of failures to run again, separated by commas.
        stale: What to do with records that were made by other code: "rerun", "keep" or "verify"; empty: ask.
        decide: Chooses which trials run; None: all that are missing.
        shown: The workspace whose table, verdicts and report are shown; None: the one that runs.
        as_json: Print events as lines of JSON, and nothing else.

    Returns:
        Whether every trial of the grid is done.
    """
    console = open_console()
    root = open_root(machine.data_root)
    machine = replace(machine, data_root=root)
    execution.check()
    statuses, answer = statuses_to_retry(retry), stale_answer(stale)
    shown = workspace if shown is None else shown
    # A fraction of a GPU that can't be is refused before a cluster is looked for.
    Needs(machine.threads, execution.gpus_per_trial or 0.0)
    machine = _one_process_for_each_gpu(machine, execution.gpus_per_trial)
    check_batches(workspace.expansion.trials, machine)
    make_folder(workspace.report_folder)
    _ = workspace.claims  # a claim file that can't be read is refused before the training, not after it
    data = needed(workspace.expansion.trials, root)
    where = (here if execution.is_local else anywhere)(machine.device, machine.threads)

    told: str | None = None
    with ExitStack() as stack:
        begun, missing = None, answer == "rerun" or _is_missing(workspace, statuses)
        if missing and execution.executor == "ray" and execution.address is None and data.seem_prepared():
            begun = EarlyRay(execution.dashboard)
            stack.callback(begun.close)
        if missing and execution.is_local:
            data()  # a cluster's nodes are asked each for itself
            note_threads(machine)
            note_slow_bf16(workspace.expansion.trials, machine)
        if answer == "verify":
            check_stale(workspace, machine, None if as_json else console)
        store, shared = workspace.store, None
        if execution.storage is not None:
            shared = open_storage(execution.storage, workspace.grid.name)
            shared.check()
            store = SharedStore(store.folder, shared)

        phase, left = workspace, limit

        def open_display(plan: Plan) -> Listener:
            nonlocal left
            trials = plan.to_do[:left]
            left = None if left is None else left - len(trials)
            expected = _expected(workspace, execution, trials, where)
            if decide is None:  # otherwise how many will run isn't known, and no estimate of their time is kept
                keepers.append(Timekeeper(trials, expected, workspace.store.folder))
            curves = [] if execution.curves is None else [Curves(execution.curves)]
            if stream is not None:
                stream.planned(workspace.grid.name, plan, len(trials), expected)
                return fan_out(*keepers, *curves, stream)
            if decide is None:
                print_plan_line(console, phase, plan, where)
            else:
                print_line(
                    console, f"{workspace.grid.name}: until decided, at most {counted(len(trials), 'trial')} to run"
                )
            return fan_out(*keepers, *curves, stack.enter_context(ProgressDisplay(console, trials, expected)))

        def execute(queue: Queue) -> None:
            nonlocal begun
            # Only now: a run that has nothing to do needs neither torch nor Ray.
            if not missing and execution.is_local:
                data()
            methods = keep_methods(workspace.store, workspace.expansion.trials)
            worker = Worker(machine, store.folder, execution.keep_weights, shared, methods)
            early, begun = begun, None  # it ends with the first phase
            _executor(execution, worker, data, early)(queue)

        stream = EventStream() if as_json else None
        keepers: list[Timekeeper] = []
        try:
            while True:
                plan = run_missing(
                    phase.runnable,
                    store,
                    execute,
                    open_display,
                    policy=policy,
                    retry=statuses,
                    limit=left,
                    stale=answer,
                    decide=decide,
                )
                chosen = next_phase(phase, plan)
                if chosen is None:
                    break
                phase, statuses = chosen, ()  # failures of this call aren't tried again by it
                with suppress(InputError):
                    while keepers:
                        keepers.pop().close()
            plan = whole_plan(phase, plan)
        finally:
            for keeper in keepers:
                with suppress(InputError):  # the disk is full: what ended the run is told, or what it ended with
                    told = keeper.close().verdict
    after = replace(shown)  # a copy, which reads the records anew
    notes = [*_changed(shown), *([f"time: {told}"] if told else [])]
    if stream is not None:
        stream.ended(after, plan, notes)
        return len(plan.done) == plan.total
    print_outcome(console, after)
    for line in notes:
        print_line(console, line)
    if execution.keep_weights:
        print_weights(console, workspace, plan)
    return len(plan.done) == plan.total


def _is_missing(workspace: Workspace, retry: Collection[str]) -> bool:
    """Whether a quick look shows something to run. What it doesn't see, such as a damaged record, is told later."""
    if workspace.grid.file.not_runnable:
        return False
    trials = workspace.expansion.trials
    try:
        found = Outcomes(workspace.store.folder, {trial.dataset for trial in trials}).read()
    except InputError:
        return False
    keys = ((trial.cell_id, trial.seed_index) for trial in trials)
    return any((outcome := found.get(key)) is None or outcome.status in retry for key in keys)


def _expected(workspace: Workspace, execution: Execution, trials: Sequence[Trial], where: Where) -> Estimate:
    """What the run takes, by what was measured on devices such as its own."""
    if execution.executor == "serial":
        return workspace.estimate(trials, 1, where)
    found = workspace.estimate(trials, None, where)
    if execution.at_once is None or execution.at_once >= found.workers:
        return found
    return workspace.estimate(trials, execution.at_once, where)


def _changed(workspace: Workspace) -> list[str]:
    """What to say if the grid's files have changed since the run began: it went by what they said then."""
    try:
        now = workspace.grid.reloaded().expand()
    except InputError as error:
        return [f"the grid changed during the run and can't be read now: {error.problems[0].what}; what ran is kept"]
    before = workspace.grid.expand() if workspace.choices else workspace.expansion  # what is chosen changes no file
    new, gone = now.ids - before.ids, before.ids - now.ids
    if not new and not gone:
        return []
    are_new = counted(len(new), "trial is new", "trials are new")
    told = f"the grid changed during the run, which went by its old text: {are_new}"
    return [f"{told}, {len(gone)} no longer in it; what ran is kept, and `{workspace.command}` runs what is new"]


def _one_process_for_each_gpu(machine: Machine, gpus_per_trial: float | None) -> Machine:
    """How the machine is used by trials with so many GPUs: several train a trial together."""
    if gpus_per_trial and machine.device == "cpu":
        raise InputError(
            "GPUs for trials that train on the CPU",
            expected="--gpus-per-trial 0, or another device",
            found=f"--gpus-per-trial {gpus_per_trial:g} with --device cpu",
            where="--gpus-per-trial",
            fix="leave one of the two out",
        )
    if gpus_per_trial is None or gpus_per_trial < 2:
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


def _executor(execution: Execution, worker: Worker, data: Prepared, begun: EarlyRay | None) -> Execute:
    machine = worker.machine
    if execution.executor == "serial":
        machine.torch_device()  # say now if it is not there
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C, which stores what has finished
        return lambda queue: run_serial(queue, worker)
    from suite.run.ray.tune import Resources, run_ray

    return lambda queue: run_ray(
        queue,
        worker,
        resources=Resources(machine.threads * machine.processes, _gpus(machine, execution.gpus_per_trial)),
        address=execution.address,
        dashboard=execution.dashboard,
        check=None if execution.address is None else data,
        at_once=execution.at_once,
        begun=begun,
    )


def statuses_to_retry(text: str) -> Collection[str]:
    """The statuses that `--retry` names; raises `InputError` for one that no failure has."""
    statuses = [part.strip() for part in text.split(",") if part.strip()]
    for status in statuses:
        if status not in FAILURES:
            raise unknown("status of a failure", status, FAILURES, where=f"--retry {text}")
    return statuses

"""Run the missing trials of a grid, and store every outcome."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from suite.grid.grid import Expansion
from suite.grid.level_code import outside_code
from suite.grid.methods import MethodFile, loaded_files
from suite.grid.trial import Trial
from suite.run.events import Job, Listener, fan_out
from suite.run.plan import Plan, make_plan
from suite.run.policy import Policy
from suite.run.queue import Decide, Queue
from suite.run.stale import Answer, check_answered, stale_records
from suite.store.beats import Beat, Running, starting
from suite.store.folder import Store
from suite.store.record import RunRecord
from suite.train.faults import MachineFault

FOLD_EVERY = 200  # new records after which the spool is folded into the main file, so that it stays small

Execute = Callable[[Queue], None]


@dataclass
class _Keeper(Listener):
    """Stores each record, and keeps the list of running trials. It is called before all other listeners."""

    store: Store
    running: Running
    kept: int = 0

    def started(self, trial: Trial) -> None:
        self.running.write(starting(trial.id))  # the worker's heartbeats replace this if the trial takes long enough

    def progressed(self, beat: Beat) -> None:
        self.running.write(beat)

    def finished(self, record: RunRecord) -> None:
        # The worker may have stored the record already, but doesn't know the number of attempts.
        if record.attempts > 1 or not self.store.has_spooled(record.trial_id):
            self.store.put(record)
        self.running.remove(record.trial_id)
        self.kept += 1
        if self.kept % FOLD_EVERY == 0:
            self.store.collect()

    def delayed(self, trial: Trial, fault: MachineFault, seconds: float) -> None:
        self.running.remove(trial.id)

    def stored(self, trial: Trial) -> RunRecord | None:
        """The record of a done trial whose worker stored it and then died without reporting it."""
        record = self.store.records().get(trial.id)
        if record is None or record.status != "done" or record.code_now not in (None, trial.code):
            return None  # there is none, or one of other code, which is what the trial is to replace
        return record


def _jobs(trials: Sequence[Trial], stack_seeds: int) -> list[Job]:
    """Group the trials into jobs of up to `stack_seeds` seeds of one cell. A job has the place of its first trial."""
    jobs: list[list[Trial]] = []
    open_jobs: dict[str, list[Trial]] = {}
    for trial in trials:
        job = open_jobs.get(trial.cell_id)
        if job is None or len(job) == stack_seeds:
            job = open_jobs[trial.cell_id] = []
            jobs.append(job)
        job.append(trial)
    return [tuple(job) for job in jobs]


def keep_methods(store: Store, trials: Sequence[Trial]) -> tuple[MethodFile, ...]:
    """The method files whose levels the trials use, after a copy of each is put beside the results.

    Raises:
        InputError: a copy can't be written.
    """
    modules = {code.partition(":")[0] for trial in trials for code in outside_code(trial.arch, trial.chosen).values()}
    files = tuple(file for file in loaded_files() if file.module in modules)
    for file in files:
        store.keep_method(file.hash, file.text)
    return files


def run_missing(
    expansion: Expansion,
    store: Store,
    execute: Execute,
    open_display: Callable[[Plan], Listener],
    *,
    policy: Policy | None = None,
    retry: Collection[str] = (),
    limit: int | None = None,
    stale: Answer = "keep",
    decide: Decide | None = None,
) -> Plan:
    """Run the trials of a grid that have no record in the store. It is safe to stop at any point and to repeat.

    Args:
        expansion: The trials of the grid.
        store: Where records are stored.
        execute: Runs the jobs of a queue. It isn't called if there are no trials to run.
        open_display: Gets the plan before the run, and returns a listener that receives the run's events.
        policy: How failures are handled.
        retry: Statuses of failed trials to run again.
        limit: The largest number of trials to run now; None: all.
        stale: What to do with records that other code made: "rerun" runs their trials again, "keep" keeps them.
            What "verify" showed to be the same is no longer stale.
        decide: Chooses which of the trials run, one after the other; None: all of them, in the grid's order.

    Returns:
        The plan after the run: the trials that are done, failed, and still to do.

    Raises:
        InputError: Another process is running this grid, the store is damaged or can't be written, or there are stale
            records and `stale` is empty.
    """
    with store.lock():
        stored = store.collect()
        older = stale_records(expansion.trials, stored)
        check_answered(older, stale)
        again = {one.trial.id for one in older} if stale == "rerun" else set[str]()
        plan = make_plan(expansion, stored, retry, again)
        trials = plan.to_do[:limit]
        display = open_display(plan)
        if not trials:
            return plan
        running = Running(store.folder)
        running.clear()
        try:
            keeper, known = _Keeper(store, running), [*plan.done, *plan.failed]
            jobs = _jobs(trials, 1 if decide is not None else expansion.stack_seeds)
            listener = fan_out(keeper, display)
            execute(Queue(jobs, listener, policy, known=known, stored=keeper.stored, decide=decide))
        finally:
            running.clear()
            # Collect finished records, also after Ctrl-C. Python chains an error here to the first one.
            records = store.collect()
        return make_plan(expansion, records)

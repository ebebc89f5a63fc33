"""Run what is missing of a grid, and keep every outcome."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from suite.execution.events import Job, Listener
from suite.grid import Expansion
from suite.heartbeat import Beat, Running, starting
from suite.plan import Plan, make_plan
from suite.record import RunRecord
from suite.store import Store
from suite.trial import Trial

FOLD_EVERY = 200  # records between two foldings of the spool, so that it stays small in a long run

Execute = Callable[[Sequence[Job], Listener], None]


@dataclass
class _Keeper:
    """Stores each record before anything else hears of it."""

    store: Store
    display: Listener
    running: Running
    kept: int = 0

    def started(self, trial: Trial) -> None:
        self.running.write(starting(trial.id))  # its worker says the rest, if it is long enough under way
        self.display.started(trial)

    def progressed(self, beat: Beat) -> None:
        self.running.write(beat)
        self.display.progressed(beat)

    def finished(self, record: RunRecord) -> None:
        if not self.store.has_spooled(record.trial_id):  # the worker may have stored it already
            self.store.put(record)
        self.running.remove(record.trial_id)
        self.kept += 1
        if self.kept % FOLD_EVERY == 0:
            self.store.collect()
        self.display.finished(record)


def _jobs(trials: Sequence[Trial], stack_seeds: int) -> list[Job]:
    """The trials, in their order; of a cell, so many seeds together."""
    jobs: list[Job] = []
    for trial in trials:
        last = jobs[-1] if jobs else ()
        if last and last[0].cell_id == trial.cell_id and len(last) < stack_seeds:
            jobs[-1] = (*last, trial)
        else:
            jobs.append((trial,))
    return jobs


def run_missing(
    expansion: Expansion,
    store: Store,
    execute: Execute,
    open_display: Callable[[Plan], Listener],
    *,
    retry: Collection[str] = (),
    limit: int | None = None,
) -> Plan:
    """Run the trials of a grid that the store has no record of; safe to stop at any point, and to repeat.

    execute: runs jobs and tells a listener; it isn't called if there is nothing to do.
    open_display: gets the plan before the run; what it returns is told how the run goes.
    retry: failures to run again, by status. limit: at most so many trials now.

    Returns the plan after the run: what is done, failed, and (after a `limit`) still to do.

    Raises:
        InputError: another process is running this grid, the store is damaged or can't be written.
    """
    with store.lock():
        plan = make_plan(expansion, store.collect(), retry)
        trials = plan.to_do[:limit]
        display = open_display(plan)
        if not trials:
            return plan
        running = Running(store.folder)
        running.clear()
        try:
            execute(_jobs(trials, expansion.stack_seeds), _Keeper(store, display, running))
        finally:
            running.clear()
            # Also after Ctrl-C: what has finished is folded in. A failing store must not hide the first error.
            records = store.collect()
        return make_plan(expansion, records)

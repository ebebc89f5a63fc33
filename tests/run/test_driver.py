"""Running what is missing, and nothing else: launch, launch again, fail, retry, add, stop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from suite.errors import InputError
from suite.grid.grid import Expansion, load_grid
from suite.grid.trial import Trial
from suite.run.driver import run_missing
from suite.run.plan import Plan
from suite.run.policy import Policy
from suite.run.queue import Queue
from suite.run.serial import run_serial
from suite.store.beats import Beat
from suite.store.folder import RUNS, Store
from suite.store.frames import load_history
from suite.store.record import RunRecord
from suite.train.faults import MachineFault
from tests.records import EachOf, make_record

Write = Callable[..., Path]


class Display:
    """Counts what it is told."""

    def __init__(self) -> None:
        self.starts: list[str] = []
        self.ends: list[str] = []
        self.delays: list[str] = []
        self.left_out: list[str] = []

    def started(self, trial: Trial) -> None:
        self.starts.append(trial.id)

    def progressed(self, beat: Beat) -> None:
        raise AssertionError("nobody told of it")

    def finished(self, record: RunRecord) -> None:
        self.ends.append(record.trial_id)

    def delayed(self, trial: Trial, fault: MachineFault, seconds: float) -> None:
        self.delays.append(trial.id)

    def skipped(self, trials: Sequence[Trial], reason: str) -> None:
        self.left_out += [trial.id for trial in trials]


class Runner:
    """A run of a grid whose trials take no time. `fail` says which trials end how."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder)
        self.display = Display()
        self.fail: dict[str, str] = {}
        self.stop_after: int | None = None
        self.break_down: dict[str, int] = {}

    def __call__(self, expansion: Expansion, **options: object) -> Plan:
        self.display = Display()
        return run_missing(expansion, self.store, self._execute, lambda plan: self.display, **options)  # type: ignore[arg-type]

    def _execute(self, queue: Queue) -> None:
        self.jobs = list(queue.jobs.values())
        run_serial(queue, EachOf(self._run))

    def _run(self, trial: Trial) -> RunRecord:
        if self.stop_after is not None and len(self.display.ends) >= self.stop_after:
            raise KeyboardInterrupt
        if self.break_down.get(trial.id, 0):
            self.break_down[trial.id] -= 1
            raise MachineFault("it broke")
        return make_record(trial, status=self.fail.get(trial.id, "done"))


@pytest.fixture
def run(tmp_path: Path) -> Runner:
    return Runner(tmp_path / "results")


def test_a_second_run_starts_nothing(write_grid: Write, run: Runner) -> None:
    expansion = load_grid(write_grid()).expand()
    plan = run(expansion)
    assert (plan.total, len(plan.done), len(plan.to_do)) == (4, 4, 0)
    assert run.display.starts == run.display.ends == [trial.id for trial in expansion.trials]
    before = (run.store.folder / RUNS).read_bytes()
    assert len(run(expansion).done) == 4
    assert run.display.starts == []
    assert (run.store.folder / RUNS).read_bytes() == before


def test_new_seeds_run_alone(write_grid: Write, run: Runner) -> None:
    path = write_grid()
    run(load_grid(path).expand())
    more = load_grid(path, seeds=3).expand()
    assert len(run(more).done) == 6
    assert set(run.display.starts) == {trial.id for trial in more.trials if trial.seed_index == 2}


def test_another_recipe_runs_anew_and_the_old_runs_stay(write_grid: Write, run: Runner) -> None:
    path = write_grid()
    run(load_grid(path).expand())
    plan = run(load_grid(path, ["recipe.epochs=3"]).expand())
    assert (len(plan.done), plan.others) == (4, 4)
    assert len(run.store.records()) == 8


def test_failures_stay_until_they_are_retried(write_grid: Write, run: Runner) -> None:
    expansion = load_grid(write_grid()).expand()
    ids = [trial.id for trial in expansion.trials]
    run.fail = {ids[0]: "error", ids[1]: "oom", ids[2]: "diverged"}
    plan = run(expansion)
    assert (len(plan.done), len(plan.failed), len(plan.to_do)) == (1, 3, 0)
    run.fail = {}
    assert len(run(expansion).failed) == 3
    assert run.display.starts == []
    plan = run(expansion, retry=["error", "oom"])
    assert set(run.display.starts) == set(ids[:2])
    assert [record.trial_id for record in plan.failed] == [ids[2]]


def test_a_cell_that_fails_on_every_seed_is_skipped_until_it_is_retried(write_grid: Write, run: Runner) -> None:
    expansion = load_grid(write_grid(), seeds=5).expand()
    cell = [trial.id for trial in expansion.trials if trial.join == "lape"]
    run.fail = dict.fromkeys(cell, "diverged")
    plan = run(expansion)
    assert (len(plan.done), len(plan.failed), len(plan.to_do)) == (5, 3, 2)
    assert run.display.left_out == cell[3:]
    assert run.store.records().keys().isdisjoint(cell[3:])  # no record says that they ran
    run(expansion)
    assert (run.display.starts, run.display.left_out) == ([], cell[3:])
    run.fail = {}
    assert len(run(expansion, retry=["diverged"]).done) == 10
    assert run.display.starts == cell


def test_errors_of_the_machine_are_tried_again_without_ray_too(write_grid: Write, run: Runner) -> None:
    expansion = load_grid(write_grid()).expand()
    run.break_down = {expansion.trials[0].id: 1, expansion.trials[1].id: 99}
    plan = run(expansion, policy=Policy(retries=1, first_wait=0.01))
    assert (len(plan.done), len(plan.failed)) == (3, 1)
    records = run.store.records()
    again, given_up = (records[trial.id] for trial in expansion.trials[:2])
    assert (again.status, again.attempts, again.machine_fault) == ("done", 2, False)
    assert (given_up.status, given_up.attempts, given_up.machine_fault) == ("error", 2, True)
    assert run.display.delays.count(given_up.trial_id) == 1


def test_seeds_of_a_cell_are_stacked_in_grids_of_several_cells(write_grid: Write, run: Runner) -> None:
    expansion = load_grid(write_grid(("seeds: [0, 1]", "seeds: [0, 1, 2, 3, 4]\nstack_seeds: 3"))).expand()
    run(expansion)
    assert [[(trial.join, trial.seed_index) for trial in job] for job in run.jobs] == [
        [(join, seed) for seed in seeds] for seeds in ((0, 1, 2), (3, 4)) for join in ("default", "lape")
    ]


def test_a_limit_leaves_the_rest_to_do(write_grid: Write, run: Runner) -> None:
    expansion = load_grid(write_grid()).expand()
    plan = run(expansion, limit=3)
    assert (len(plan.done), len(plan.to_do)) == (3, 1)
    assert len(run(expansion).done) == 4
    assert len(run.display.starts) == 1


@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_stop_keeps_what_has_finished_and_the_end_is_the_same(
    write_grid: Write, run: Runner, tmp_path: Path, after: int
) -> None:
    expansion = load_grid(write_grid()).expand()
    run.stop_after = after
    with pytest.raises(KeyboardInterrupt):
        run(expansion)
    assert len(run.store.records()) == after
    run.stop_after = None
    run(expansion)
    assert len(run.display.starts) == 4 - after
    unbroken = Runner(tmp_path / "unbroken")
    unbroken(expansion)
    assert (run.store.folder / RUNS).read_bytes() == (unbroken.store.folder / RUNS).read_bytes()
    assert load_history(run.store.folder).equals(load_history(unbroken.store.folder))


def test_records_that_a_worker_stored_before_the_driver_died_are_found(write_grid: Write, run: Runner) -> None:
    expansion = load_grid(write_grid()).expand()
    run.store.put(make_record(expansion.trials[2]))
    assert len(run(expansion).done) == 4
    assert expansion.trials[2].id not in run.display.starts


def test_a_second_run_at_the_same_time_is_refused(write_grid: Write, run: Runner) -> None:
    expansion = load_grid(write_grid()).expand()
    with run.store.lock(), pytest.raises(InputError, match="being run already"):
        run(expansion)
    assert run.display.starts == []


def test_long_runs_fold_the_spool_as_they_go(write_grid: Write, run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("suite.run.driver.FOLD_EVERY", 3)
    run.stop_after = 3
    expansion = load_grid(write_grid()).expand()
    collected: list[int] = []
    collect = run.store.collect

    def count() -> dict[str, RunRecord]:
        records = collect()
        collected.append(len(records))
        return records

    monkeypatch.setattr(run.store, "collect", count)
    with pytest.raises(KeyboardInterrupt):
        run(expansion)
    assert collected == [0, 3, 3]

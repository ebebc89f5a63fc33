"""What is tried again and when, what is stopped, what is left out: with a clock of the test's own."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.grid.grid import load_grid
from suite.grid.trial import Trial
from suite.run.events import Job
from suite.run.policy import LONGEST_WAIT, Policy
from suite.run.queue import Queue
from suite.train.faults import MachineFault
from tests.conftest import GRID
from tests.records import Heard, make_record

FAULT = MachineFault("it broke", "gpu-1")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> list[Trial]:
    """Two cells, six seeds of each, seed by seed."""
    path = tmp_path_factory.mktemp("grid") / "small.yaml"
    path.write_text(GRID)
    return list(load_grid(path, seeds=6).expand().trials)


def make_queue(trials: list[Trial], policy: Policy | None = None, **more: object) -> tuple[Queue, Heard, Clock]:
    heard, clock = Heard(), Clock()
    return Queue([(trial,) for trial in trials], heard, policy, clock=clock, **more), heard, clock  # type: ignore[arg-type]


def take(queue: Queue) -> Job:
    job = queue.take()
    assert job is not None
    queue.started(job)
    return job


def end(queue: Queue, job: Job, status: str = "done") -> None:
    queue.finished(job, [make_record(trial, status=status) for trial in job])


def test_jobs_come_in_their_order_and_are_over_when_all_have_ended(trials: list[Trial]) -> None:
    queue, heard, _ = make_queue(trials)
    jobs = [take(queue) for _ in trials]
    assert [job[0].id for job in jobs] == heard.starts == [trial.id for trial in trials]
    assert queue.take() is None
    assert queue.wait() is not None  # one of them may come again
    for job in jobs:
        end(queue, job)
    assert queue.wait() is None
    assert {record.attempts for record in heard.records.values()} == {1}


def test_a_wait_blocks_nobody_and_ends_in_front(trials: list[Trial]) -> None:
    queue, heard, clock = make_queue(trials, Policy(first_wait=100))
    first, second = take(queue), take(queue)
    queue.lost(first, FAULT)
    assert heard.delays[0][0] == first[0].id
    assert 75 <= heard.delays[0][2] <= 125
    third = take(queue)
    assert third[0].id == trials[2].id
    clock.now = 126
    assert take(queue) == first  # before all that come later in the order
    assert take(queue)[0].id == trials[3].id
    end(queue, first)
    end(queue, second)
    assert heard.records[first[0].id].attempts == 2
    assert heard.records[second[0].id].attempts == 1


def test_who_waits_alone_says_how_long(trials: list[Trial]) -> None:
    queue, heard, clock = make_queue(trials[:1], Policy(first_wait=100))
    queue.lost(take(queue), FAULT)
    assert queue.take() is None
    assert queue.wait() == heard.delays[0][2]
    clock.now = 1000
    assert queue.wait() == 0
    end(queue, take(queue))
    assert queue.wait() is None


def test_a_machine_that_fails_again_and_again_is_given_up(trials: list[Trial]) -> None:
    queue, heard, clock = make_queue(trials[:1], Policy(retries=2, first_wait=10))
    for _ in range(3):
        queue.lost(take(queue), FAULT)
        clock.now += 1000
    record = heard.records[trials[0].id]
    assert (record.status, record.machine_fault, record.attempts, record.node) == ("error", True, 3, "gpu-1")
    assert record.error == "it broke"
    assert [round(seconds / 10) for _, _, seconds in heard.delays] == pytest.approx([1, 2], abs=0.5)
    assert queue.wait() is None


def test_a_worker_that_was_spent_before_costs_no_attempt(trials: list[Trial]) -> None:
    queue, heard, _ = make_queue(trials[:1], Policy(retries=0))
    queue.lost(take(queue), MachineFault("spent", spent=True))
    assert [(identity, seconds) for identity, _, seconds in heard.delays] == [(trials[0].id, 0.0)]
    end(queue, take(queue))
    assert heard.records[trials[0].id].attempts == 1


def test_a_record_that_a_worker_stored_before_it_died_is_its_outcome(trials: list[Trial]) -> None:
    stored = {trials[0].id: make_record(trials[0])}
    queue, heard, clock = make_queue(trials[:2], stored=lambda trial: stored.get(trial.id))
    queue.lost(take(queue), FAULT)
    clock.now = 1000
    assert take(queue)[0].id == trials[1].id
    assert heard.records[trials[0].id].status == "done"
    assert heard.starts == [trials[0].id, trials[1].id]


def test_of_a_stack_what_was_stored_is_kept_when_the_rest_is_given_up(trials: list[Trial]) -> None:
    heard, stack = Heard(), (trials[0], trials[2])
    queue = Queue(
        [stack],
        heard,
        Policy(retries=0),
        stored=lambda trial: make_record(trial) if trial.id == stack[0].id else None,
    )
    queue.lost(take(queue), FAULT)
    assert [heard.records[trial.id].status for trial in stack] == ["done", "error"]


class TestCells:
    def test_one_that_fails_on_every_seed_is_stopped(self, trials: list[Trial]) -> None:
        queue, heard, _ = make_queue(trials, Policy(cell_failures=3))
        bad = trials[0].cell_id
        while queue.wait() is not None:
            job = take(queue)
            end(queue, job, "diverged" if job[0].cell_id == bad else "done")
        assert len(heard.records) == 3 + 6
        assert heard.left_out == [trial.id for trial in trials if trial.cell_id == bad][3:]

    def test_one_seed_that_is_done_keeps_it(self, trials: list[Trial]) -> None:
        queue, heard, _ = make_queue(trials, Policy(cell_failures=3))
        good, order = trials[1].cell_id, iter(range(len(trials)))
        while queue.wait() is not None:
            end(queue, take(queue), "done" if next(order) == 1 else "error")
        assert sum(record.cell_id == good for record in heard.records.values()) == 6
        assert len(heard.left_out) == 3

    def test_errors_of_the_machine_say_nothing_of_a_cell(self, trials: list[Trial]) -> None:
        queue, heard, _ = make_queue(trials, Policy(retries=0, cell_failures=3))
        for _ in trials:
            queue.lost(take(queue), FAULT)
        assert len(heard.records) == len(trials)
        assert not heard.left_out

    def test_earlier_runs_count(self, trials: list[Trial]) -> None:
        cell = [trial for trial in trials if trial.cell_id == trials[0].cell_id]
        known = [make_record(trial, status="oom") for trial in cell[:3]]
        queue, heard, _ = make_queue(cell[3:], Policy(cell_failures=3), known=known)
        assert queue.wait() is None
        assert heard.left_out == [trial.id for trial in cell[3:]]

    def test_zero_is_never(self, trials: list[Trial]) -> None:
        queue, heard, _ = make_queue(trials, Policy(cell_failures=0))
        for _ in trials:
            end(queue, take(queue), "error")
        assert len(heard.records) == len(trials)

    def test_what_waits_is_left_out_too(self, trials: list[Trial]) -> None:
        cell = [trial for trial in trials if trial.cell_id == trials[0].cell_id]
        queue, heard, _ = make_queue(cell[:4], Policy(cell_failures=3))
        queue.lost(take(queue), FAULT)
        for _ in range(3):
            end(queue, take(queue), "diverged")
        assert heard.left_out == [cell[0].id]
        assert queue.wait() is None


@given(seed=st.integers(0, 10**6), workers=st.integers(1, 6), retries=st.integers(0, 3))
def test_whatever_happens_every_trial_has_one_record_or_is_skipped(
    seed: int, workers: int, retries: int, trials: list[Trial]
) -> None:
    chance = random.Random(seed)
    queue, heard, clock = make_queue(trials, Policy(retries=retries, first_wait=5, cell_failures=2))
    under_way: list[Job] = []
    while queue.wait() is not None:
        while len(under_way) < workers and (job := queue.take()) is not None:
            queue.started(job)
            under_way.append(job)
        clock.now += chance.uniform(0, 20)
        if under_way:
            job = under_way.pop(chance.randrange(len(under_way)))
            if chance.random() < 0.4:
                queue.lost(job, FAULT)
            else:
                end(queue, job, chance.choice(["done", "diverged", "oom"]))
    assert not under_way
    assert sorted([*heard.records, *heard.left_out]) == sorted(trial.id for trial in trials)
    for identity, record in heard.records.items():
        assert record.attempts == heard.starts.count(identity) <= retries + 1
    firsts = list(dict.fromkeys(heard.starts))
    assert firsts == [trial.id for trial in trials if trial.id in firsts]  # the order of the grid


@given(attempts=st.integers(1, 10**6), seed=st.integers(0, 100))
def test_waits_double_up_to_half_an_hour(attempts: int, seed: int) -> None:
    wait = Policy(first_wait=30).wait(attempts, random.Random(seed))
    middle = min(30 * 2.0 ** min(attempts - 1, 100), LONGEST_WAIT)
    assert 0.75 * middle <= wait <= 1.25 * middle


def test_a_worker_counts_as_hung_long_after_its_time() -> None:
    assert Policy().hung_after(1) is None
    policy = Policy(time_limit=600)
    assert policy.hung_after(1) == 2 * 600 + policy.overtime
    assert replace(policy, overtime=0).hung_after(5) == 5 * 2 * 600

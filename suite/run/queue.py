"""The job queue of a run, with retries and skipped cells."""

from __future__ import annotations

import random
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime

from suite.grid.trial import Trial
from suite.run.events import Job, Listener
from suite.run.policy import Policy
from suite.store.beats import Beat
from suite.store.environment import describe
from suite.store.record import RunRecord, Status
from suite.train.faults import MachineFault, ending

# Chooses the trials to run next, by their ids, from the records so far (by trial id), the ids of trials that can still
# be run, and those of trials that are under way or wait for a retry. An empty answer means: none for now.
Decide = Callable[[Mapping[str, RunRecord], Collection[str], Collection[str]], Sequence[str]]


class Queue:
    """A queue of jobs in the order of the grid, or in the order in which `decide` asks for them.

    An executor calls `take` to get a job, and `started` when the job really starts. Then it calls either `finished`,
    with the records of the job's trials, or `lost`. A job that failed from an infrastructure error waits without using
    a worker. After that it comes before all other jobs, so that the order of the grid is kept as far as possible.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        listener: Listener,
        policy: Policy | None = None,
        *,
        known: Iterable[RunRecord] = (),
        stored: Callable[[Trial], RunRecord | None] = lambda trial: None,
        clock: Callable[[], float] = time.monotonic,
        decide: Decide | None = None,
    ) -> None:
        """Create a queue.

        Args:
            jobs: The jobs.
            listener: Receives the run's events.
            policy: How failures are handled.
            known: Records of earlier runs. They count when deciding whether a cell fails on every seed.
            stored: Returns the record of a trial if its worker stored one before it died.
            clock: Returns the current time in seconds.
            decide: Chooses which jobs run, each of one trial; None: all do. Jobs that it never asks for stay in the
                queue when the run ends.
        """
        self.policy = policy or Policy()
        self._decide = decide
        self._chosen: deque[str] = deque()
        self._records: dict[str, RunRecord] = {}
        self._changes, self._asked_at = 0, -1
        self._listener, self._stored, self._clock = listener, stored, clock
        self.jobs = {job[0].id: job for job in jobs}
        self._fresh = deque(jobs)
        self._again: list[tuple[float, int, Job]] = []  # time of the retry, place in the grid's order, job
        self._places = {job[0].id: place for place, job in enumerate(jobs)}
        self._attempts: Counter[str] = Counter()
        self._under_way: set[str] = set()
        self._chance = random.Random()  # noqa: S311 -- for waiting times
        self._failed: Counter[str] = Counter()
        self._done: Counter[str] = Counter()
        for record in known:
            self._count(record)
        for cell in dict.fromkeys(job[0].cell_id for job in jobs):
            self._stop_cell(cell)

    @property
    def is_chosen(self) -> bool:
        """Whether `decide` chooses the jobs. It chooses better the more records it knows: none is taken too early."""
        return self._decide is not None

    def take(self) -> Job | None:
        """The next job that can start now; None if there is none at the moment."""
        now = self._clock()
        due = [entry for entry in self._again if entry[0] <= now]
        if due:
            entry = min(due, key=lambda entry: entry[1])
            self._again.remove(entry)
            job = self._without_stored(entry[2])
            return self.take() if job is None else self._begin(job)
        job = self._next_fresh()
        return None if job is None else self._begin(job)

    def wait(self) -> float | None:
        """Seconds until the next call of `take` makes sense; None: no jobs are left, and none is running."""
        if self._decide is not None:
            self._ask()
        if self._chosen or (self._fresh and self._decide is None):
            return 0.0
        if self._again:
            return max(0.0, min(when for when, _, _ in self._again) - self._clock())
        return 1.0 if self._under_way else None

    def started(self, job: Job) -> None:
        """Called when a worker starts the job."""
        for trial in job:
            self._listener.started(trial)

    def progressed(self, beats: Iterable[Beat]) -> None:
        """Called with progress updates from workers."""
        for beat in beats:
            self._listener.progressed(beat)

    def finished(self, job: Job, records: Iterable[RunRecord]) -> None:
        """Called when the job has ended, with a record for each trial."""
        self._under_way.discard(job[0].id)
        for record in records:
            self._tell(record.model_copy(update={"attempts": self._attempts[job[0].id]}))
        self._stop_cell(job[0].cell_id)

    def lost(self, job: Job, fault: MachineFault, status: Status = "error") -> None:
        """Called when the job failed from an infrastructure error. It is retried unless no attempts are left.

        Args:
            job: The job.
            fault: The error.
            status: The status of the trials' records if no attempts are left.
        """
        self._under_way.discard(job[0].id)
        if fault.spent:
            self._attempts[job[0].id] -= 1
        attempts = self._attempts[job[0].id]
        if attempts > self.policy.retries:
            self.finished(job, [self._stored(trial) or lost_record(trial, fault, status) for trial in job])
            return
        seconds = self.policy.wait(attempts, self._chance) if attempts else 0.0
        self._again.append((self._clock() + seconds, self._places[job[0].id], job))
        for trial in job:
            self._listener.delayed(trial, fault, seconds)

    def _next_fresh(self) -> Job | None:
        if self._decide is None:
            return self._fresh.popleft() if self._fresh else None
        self._ask()
        if not self._chosen:
            return None
        chosen = self._chosen.popleft()
        job = next(job for job in self._fresh if job[0].id == chosen)
        self._fresh.remove(job)
        return job

    def _ask(self) -> None:
        """Ask which jobs to run next, if none is chosen and something has changed since the last answer."""
        if self._decide is None or self._chosen or self._asked_at == self._changes:
            return
        self._asked_at = self._changes
        fresh = {job[0].id for job in self._fresh}
        waiting = {*self._under_way, *(job[0].id for _, _, job in self._again)}
        self._chosen.extend(trial for trial in self._decide(self._records, fresh, waiting) if trial in fresh)

    def _begin(self, job: Job) -> Job:
        self._changes += 1
        self._attempts[job[0].id] += 1
        self._under_way.add(job[0].id)
        return job

    def _without_stored(self, job: Job) -> Job | None:
        """The job; None if its worker stored all records before it died. These records then finish the job."""
        records = [record for trial in job if (record := self._stored(trial)) is not None]
        if len(records) < len(job):
            return job
        self.finished(job, records)
        return None

    def _tell(self, record: RunRecord) -> None:
        self._count(record)
        self._listener.finished(record)

    def _count(self, record: RunRecord) -> None:
        self._records[record.trial_id] = record
        self._changes += 1
        if record.status == "done":
            self._done[record.cell_id] += 1
        elif not record.machine_fault:
            self._failed[record.cell_id] += 1

    def _stop_cell(self, cell: str) -> None:
        """Skip the remaining jobs of a cell if it fails on every seed."""
        failed = self._failed[cell]
        if not self.policy.stops_cell(failed, self._done[cell]):
            return
        left = [job for job in self._fresh if job[0].cell_id == cell]
        left += [job for _, _, job in self._again if job[0].cell_id == cell]
        if left:
            self._fresh = deque(job for job in self._fresh if job[0].cell_id != cell)
            self._chosen = deque(trial for trial in self._chosen if any(job[0].id == trial for job in self._fresh))
            self._again = [entry for entry in self._again if entry[2][0].cell_id != cell]
            reason = f"all of the first {failed} seeds of this cell failed"
            self._listener.skipped([trial for job in left for trial in job], reason)


def lost_record(trial: Trial, fault: MachineFault, status: Status = "error", *, is_machines: bool = True) -> RunRecord:
    """The record of a trial whose worker returned none.

    Args:
        trial: The trial.
        fault: The error.
        status: The status of the record.
        is_machines: Whether this was an infrastructure error, not a failure of the trial.
    """
    return RunRecord(
        **trial.identity,
        status=status,
        epochs=0,
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        node=fault.node,
        machine_fault=is_machines,
        environment=describe("unknown", "unknown", "unknown", 0),
        error=ending(fault.reason),
    )

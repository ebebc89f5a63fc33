"""The jobs of a run: what comes next, what comes again, and what comes no more."""

from __future__ import annotations

import random
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

from suite.grid.trial import Trial
from suite.run.events import Job, Listener
from suite.run.policy import Policy
from suite.store.beats import Beat
from suite.store.environment import describe
from suite.store.record import RunRecord, Status
from suite.train.faults import MachineFault, ending


class Queue:
    """Jobs in their order, for an executor to take and to tell what became of them.

    A job that failed from an infrastructure error waits, without taking a worker, and then comes before all others: so
    the order of the grid is kept as far as it can be. An executor takes a job, calls `started` when it really starts,
    and then either `finished` with the records of its trials, or `lost`.
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
    ) -> None:
        """known: records of earlier runs, which count where a cell fails on every seed.

        stored: the record of a trial that its worker could still store, though it then died.
        """
        self.policy = policy or Policy()
        self._listener, self._stored, self._clock = listener, stored, clock
        self.jobs = {job[0].id: job for job in jobs}
        self._fresh = deque(jobs)
        self._again: list[tuple[float, int, Job]] = []  # when, its place in the order, the job
        self._places = {job[0].id: place for place, job in enumerate(jobs)}
        self._attempts: Counter[str] = Counter()
        self._under_way: set[str] = set()
        self._chance = random.Random()  # noqa: S311 -- of waiting times
        self._failed: Counter[str] = Counter()
        self._done: Counter[str] = Counter()
        for record in known:
            self._count(record)
        for cell in dict.fromkeys(job[0].cell_id for job in jobs):
            self._stop_cell(cell)

    def take(self) -> Job | None:
        """The next job that may start now, or None."""
        now = self._clock()
        due = [entry for entry in self._again if entry[0] <= now]
        if due:
            entry = min(due, key=lambda entry: entry[1])
            self._again.remove(entry)
            job = self._without_stored(entry[2])
            return self.take() if job is None else self._begin(job)
        return self._begin(self._fresh.popleft()) if self._fresh else None

    def wait(self) -> float | None:
        """Seconds until there may be something to take; None: there is nothing left, and nothing under way."""
        if self._fresh:
            return 0.0
        if self._again:
            return max(0.0, min(when for when, _, _ in self._again) - self._clock())
        return 1.0 if self._under_way else None

    def started(self, job: Job) -> None:
        """A worker begins with the job."""
        for trial in job:
            self._listener.started(trial)

    def progressed(self, beats: Iterable[Beat]) -> None:
        """Workers tell how far trials are."""
        for beat in beats:
            self._listener.progressed(beat)

    def finished(self, job: Job, records: Iterable[RunRecord]) -> None:
        """The job has ended, with a record of each trial."""
        self._under_way.discard(job[0].id)
        for record in records:
            self._tell(record.model_copy(update={"attempts": self._attempts[job[0].id]}))
        self._stop_cell(job[0].cell_id)

    def lost(self, job: Job, fault: MachineFault, status: Status = "error") -> None:
        """The machine failed: the job comes again after a while, or it was the last attempt, which is its outcome.

        status: of the records in that case.
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

    def _begin(self, job: Job) -> Job:
        self._attempts[job[0].id] += 1
        self._under_way.add(job[0].id)
        return job

    def _without_stored(self, job: Job) -> Job | None:
        """The job, unless all its records were stored before its worker died: then they are its outcome."""
        records = [record for trial in job if (record := self._stored(trial)) is not None]
        if len(records) < len(job):
            return job
        self.finished(job, records)
        return None

    def _tell(self, record: RunRecord) -> None:
        self._count(record)
        self._listener.finished(record)

    def _count(self, record: RunRecord) -> None:
        if record.status == "done":
            self._done[record.cell_id] += 1
        elif not record.machine_fault:
            self._failed[record.cell_id] += 1

    def _stop_cell(self, cell: str) -> None:
        """Leave out what is to come of a cell that fails on every seed."""
        failed = self._failed[cell]
        if not self.policy.stops_cell(failed, self._done[cell]):
            return
        left = [job for job in self._fresh if job[0].cell_id == cell]
        left += [job for _, _, job in self._again if job[0].cell_id == cell]
        if left:
            self._fresh = deque(job for job in self._fresh if job[0].cell_id != cell)
            self._again = [entry for entry in self._again if entry[2][0].cell_id != cell]
            reason = f"all of the first {failed} seeds of this cell failed"
            self._listener.skipped([trial for job in left for trial in job], reason)


def lost_record(trial: Trial, fault: MachineFault, status: Status = "error", *, is_machines: bool = True) -> RunRecord:
    """The record of a trial that never came back. is_machines: whether it was really the machine's fault."""
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

"""The serial executor: runs one job after another in this process. For tests, debugging and machines without Ray."""

from __future__ import annotations

import time

from suite.run.events import Run
from suite.run.queue import Queue
from suite.train.faults import MachineFault


def run_serial(queue: Queue, run: Run) -> None:
    """Run all jobs of the queue in order, with the queue's retries.

    Raises:
        InputError: A job's input is bad; the remaining jobs are not run.
    """
    while (wait := queue.wait()) is not None:
        job = queue.take()
        if job is None:
            time.sleep(wait)
            continue
        queue.started(job)
        try:
            records = run(job)
        except MachineFault as fault:
            queue.lost(job, fault)
        else:
            queue.finished(job, records)

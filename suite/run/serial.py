"""One trial after another in this process: for tests, debugging and machines without Ray."""

from __future__ import annotations

import time

from suite.run.events import Run
from suite.run.queue import Queue
from suite.train.faults import MachineFault


def run_serial(queue: Queue, run: Run) -> None:
    """Run the jobs in their order."""
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

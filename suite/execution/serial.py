"""One trial after another in this process: for tests, debugging and machines without Ray."""

from __future__ import annotations

from collections.abc import Sequence

from suite.execution.events import Job, Listener, Run


def run_serial(jobs: Sequence[Job], run: Run, listener: Listener) -> None:
    """Run the jobs in their order."""
    for job in jobs:
        for trial in job:
            listener.started(trial)
        for record in run(job):
            listener.finished(record)

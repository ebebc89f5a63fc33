"""One trial after another in this process: for tests, debugging and machines without Ray."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from suite.execution.events import Listener
from suite.record import RunRecord
from suite.trial import Trial


def run_serial(trials: Sequence[Trial], run: Callable[[Trial], RunRecord], listener: Listener) -> None:
    """Run the trials in their order."""
    for trial in trials:
        listener.started(trial)
        listener.finished(run(trial))

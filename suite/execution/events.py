"""What an executor tells while it runs: the driver stores it, the progress display shows it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from suite.heartbeat import Beat
from suite.record import RunRecord
from suite.trial import Trial

Job = tuple[Trial, ...]  # what is run as one: a trial, or several seeds of a cell
Run = Callable[[Job], Sequence[RunRecord]]  # how, with a record of each trial


class Listener(Protocol):
    """Hears of each trial as it starts and ends."""

    def started(self, trial: Trial) -> None:
        """A trial is being trained from now on (again, if its worker died)."""

    def progressed(self, beat: Beat) -> None:
        """A worker that doesn't see the results folder tells how far a trial is."""

    def finished(self, record: RunRecord) -> None:
        """A trial has ended, well or not."""

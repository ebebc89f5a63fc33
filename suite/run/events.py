"""What an executor tells while it runs: the driver stores it, the progress display shows it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from suite.grid.trial import Trial
from suite.store.beats import Beat
from suite.store.record import RunRecord
from suite.train.faults import MachineFault

Job = tuple[Trial, ...]  # what is run as one: a trial, or several seeds of a cell

# How a job is run, with a record of each trial. It raises MachineFault if it should be tried again, and InputError if
# there is no use in it.
Run = Callable[[Job], Sequence[RunRecord]]


class Listener(Protocol):
    """Hears of each trial as it starts and ends."""

    def started(self, trial: Trial) -> None:
        """A trial is being trained from now on (again, if its worker died)."""

    def progressed(self, beat: Beat) -> None:
        """A worker that doesn't see the results folder tells how far a trial is."""

    def finished(self, record: RunRecord) -> None:
        """A trial has ended, well or not."""

    def delayed(self, trial: Trial, fault: MachineFault, seconds: float) -> None:
        """The machine spoilt a trial, which is tried again after so many seconds."""

    def skipped(self, trials: Sequence[Trial], reason: str) -> None:
        """These trials are left out of this run; they have no record."""

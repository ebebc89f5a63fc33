"""What an executor reports while it runs: the driver stores it, the progress display shows it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from suite.grid.trial import Trial
from suite.store.beats import Beat
from suite.store.record import RunRecord
from suite.train.faults import MachineFault

Job = tuple[Trial, ...]  # what is run as one: a trial, or several seeds of a cell

# How a job is run, with a record of each trial. It raises MachineFault if it should be tried again, and InputError if
# there is no use in it.
Run = Callable[[Job], Sequence[RunRecord]]


class Listener:
    """Is told of each trial as it starts and ends. A subclass says what it does of that; the rest does nothing."""

    def started(self, trial: Trial) -> None:
        """A trial is being trained from now on (again, if its worker died)."""

    def progressed(self, beat: Beat) -> None:
        """A worker that doesn't see the results folder reports how far a trial is."""

    def finished(self, record: RunRecord) -> None:
        """A trial has ended, well or not."""

    def delayed(self, trial: Trial, fault: MachineFault, seconds: float) -> None:
        """A trial failed from an infrastructure error, and is tried again after so many seconds."""

    def skipped(self, trials: Sequence[Trial], reason: str) -> None:
        """These trials are left out of this run; they have no record."""


def fan_out(*listeners: Listener) -> Listener:
    """One listener that tells several, in their order."""
    return _FanOut(*listeners)


class _FanOut(Listener):
    def __init__(self, *listeners: Listener) -> None:
        self._listeners = listeners

    def started(self, trial: Trial) -> None:
        for listener in self._listeners:
            listener.started(trial)

    def progressed(self, beat: Beat) -> None:
        for listener in self._listeners:
            listener.progressed(beat)

    def finished(self, record: RunRecord) -> None:
        for listener in self._listeners:
            listener.finished(record)

    def delayed(self, trial: Trial, fault: MachineFault, seconds: float) -> None:
        for listener in self._listeners:
            listener.delayed(trial, fault, seconds)

    def skipped(self, trials: Sequence[Trial], reason: str) -> None:
        for listener in self._listeners:
            listener.skipped(trials, reason)

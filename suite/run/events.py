"""The events of a run. An executor reports them to listeners, such as the driver and the progress display."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from suite.grid.trial import Trial
from suite.store.beats import Beat
from suite.store.record import RunRecord
from suite.train.faults import MachineFault

Job = tuple[Trial, ...]  # the unit of execution: one trial, or several seeds of a cell

# Runs a job and returns a record for each trial. It raises MachineFault if the job should be retried, and InputError if
# retrying is useless.
Run = Callable[[Job], Sequence[RunRecord]]


class Listener:
    """Receives the events of a run. Each method does nothing unless a subclass overrides it."""

    def started(self, trial: Trial) -> None:
        """A trial starts, for the first time or as a retry."""

    def progressed(self, beat: Beat) -> None:
        """A worker without access to the results folder reports a trial's progress."""

    def finished(self, record: RunRecord) -> None:
        """A trial has ended, successfully or not."""

    def delayed(self, trial: Trial, fault: MachineFault, seconds: float) -> None:
        """A trial failed from an infrastructure error, and will be retried.

        Args:
            trial: The trial.
            fault: The error.
            seconds: Seconds until the retry.
        """

    def skipped(self, trials: Sequence[Trial], reason: str) -> None:
        """These trials are not run. They get no record."""


def fan_out(*listeners: Listener) -> Listener:
    """Combine listeners into one, which passes each event to them in the given order."""
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

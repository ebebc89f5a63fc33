"""Compare the time that a run takes with its estimate."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from suite.grid.trial import Trial
from suite.run.events import Listener
from suite.run.timing.estimate import Estimate, side_by_side
from suite.run.timing.forecast import Forecast, Took, forecast
from suite.store.record import RunRecord
from suite.train.faults import MachineFault


class Timekeeper(Listener):
    """Measures the time of a run. It writes the estimate at the start, and adds the actual time at the end.

    Args:
        trials: The trials to run.
        expected: Their estimate.
        folder: The results folder.
    """

    def __init__(self, trials: Sequence[Trial], expected: Estimate, folder: Path) -> None:
        self._trials, self._expected, self._folder = trials, expected, folder
        self._forecast = forecast(expected, datetime.now(UTC).isoformat(timespec="seconds"))
        if trials:
            self._forecast.write(folder)
        self._first: float | None = None
        self._last = 0.0
        self._running: set[str] = set()
        self._at_once = 0
        self._done: dict[str, tuple[str, float]] = {}  # cell and training seconds of each done trial

    def started(self, trial: Trial) -> None:
        """Count the trial as running. The first trial starts the clock."""
        if self._first is None:
            self._first = time.monotonic()
        self._running.add(trial.id)
        self._at_once = max(self._at_once, len(self._running))

    def finished(self, record: RunRecord) -> None:
        """Note the trial's time. The last trial stops the clock."""
        self._last = time.monotonic()
        self._running.discard(record.trial_id)
        if record.status == "done" and record.train_seconds is not None:
            self._done[record.trial_id] = record.cell_id, record.train_seconds

    def delayed(self, trial: Trial, fault: MachineFault, seconds: float) -> None:
        """The trial waits for a retry, so it is not running."""
        self._running.discard(trial.id)

    def close(self) -> Forecast:
        """Called when the run has ended or was stopped. Adds the actual time to the forecast and writes it.

        Returns:
            The forecast. Without a done trial, it has no actual time and is not written again.
        """
        if self._first is None or not self._done:
            return self._forecast
        whole = len(self._done) == len(self._trials) and not self._expected.unknown
        cells = self._forecast.cells
        known = [(cells[cell], seconds) for cell, seconds in self._done.values() if cell in cells]
        took = Took(
            trials=len(known),
            seconds=sum(seconds for _, seconds in known),
            expected_seconds=sum(expected for expected, _ in known),
            wall=max(self._last - self._first, 0.0),
            at_once=self._at_once,
            whole=whole,
        )
        self._forecast = self._at_so_many(self._at_once).model_copy(update={"took": took})
        self._forecast.write(self._folder)
        return self._forecast

    def _at_so_many(self, workers: int) -> Forecast:
        """The forecast for the actual number of parallel trials, which a cluster shows only during the run."""
        if workers == self._expected.workers or not self._expected.known:
            return self._forecast
        times = [self._expected.trial_seconds(trial) for trial in self._trials]
        wall = self._expected.begin + side_by_side([time for time in times if time is not None], workers)
        factor, interval = wall / self._expected.wall, self._expected.wall_interval
        changed = None if interval is None else (interval[0] * factor, interval[1] * factor)
        return self._forecast.model_copy(update={"workers": workers, "wall": wall, "wall_interval": changed})

"""What an executor tells while it runs: the driver stores it, the progress display shows it."""

from __future__ import annotations

from typing import Protocol

from suite.record import RunRecord
from suite.trial import Trial


class Listener(Protocol):
    """Hears of each trial as it starts and ends."""

    def started(self, trial: Trial) -> None:
        """A trial is being trained from now on (again, if its worker died)."""

    def finished(self, record: RunRecord) -> None:
        """A trial has ended, well or not."""

"""Measures how long a training run takes."""

from __future__ import annotations

import time


class Clock:
    """Measures the seconds of a training run and of its current epoch.

    Args:
        before: Seconds of the training run before it was interrupted.
        of_epoch: Seconds of the current epoch before it was interrupted.
    """

    def __init__(self, before: float = 0.0, of_epoch: float = 0.0) -> None:
        now = time.perf_counter()
        self._began, self._epoch_began = now - before, now - of_epoch

    def all(self) -> float:
        """Seconds since the training run began."""
        return time.perf_counter() - self._began

    def epoch(self) -> float:
        """Seconds since the current epoch began."""
        return time.perf_counter() - self._epoch_began

    def next_epoch(self) -> None:
        """Start measuring the next epoch."""
        self._epoch_began = time.perf_counter()

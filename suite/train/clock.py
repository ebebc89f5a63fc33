"""How long a training run takes."""

from __future__ import annotations

import time


class Clock:
    """The seconds of a training run and of its current epoch, those before an interruption included."""

    def __init__(self, before: float = 0.0, of_epoch: float = 0.0) -> None:
        now = time.perf_counter()
        self._began, self._epoch_began = now - before, now - of_epoch

    def all(self) -> float:
        """Seconds of the training run, up to now."""
        return time.perf_counter() - self._began

    def epoch(self) -> float:
        """Seconds of its epoch, up to now."""
        return time.perf_counter() - self._epoch_began

    def next_epoch(self) -> None:
        """An epoch begins."""
        self._epoch_began = time.perf_counter()

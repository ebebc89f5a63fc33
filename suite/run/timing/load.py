"""Measure how much other programs use the machine's CPU cores during a measurement."""

from __future__ import annotations

import os
import time
from pathlib import Path

STAT = Path("/proc/stat")
_IDLE = (3, 4)  # the columns of idle time and of waiting for I/O


class Load:
    """Measures the CPU time that other programs use after its creation."""

    def __init__(self) -> None:
        self._began, self._busy, self._own = time.monotonic(), _busy_seconds(), _own_seconds()

    def of_others(self) -> float | None:
        """Mean number of CPU cores that other programs have used since; None if the system doesn't report it.

        The time of this process is excluded, and that of its children once they have ended.
        """
        busy, seconds = _busy_seconds(), time.monotonic() - self._began
        if busy is None or self._busy is None or seconds <= 0:
            return None
        return round(max(0.0, busy - self._busy - (_own_seconds() - self._own)) / seconds, 2)


def _busy_seconds() -> float | None:
    """CPU seconds of all cores since the system started; None if the system doesn't report them."""
    try:
        columns = [int(column) for column in STAT.read_text().split("\n", 1)[0].split()[1:9]]
    except (OSError, ValueError):
        return None
    return sum(value for place, value in enumerate(columns) if place not in _IDLE) / os.sysconf("SC_CLK_TCK")


def _own_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system

"""How busy a machine is with other programs, while this one measures something."""

from __future__ import annotations

import os
import time
from pathlib import Path

STAT = Path("/proc/stat")
_IDLE = (3, 4)  # the columns of idle and of waiting for a disk


class Load:
    """Begins to count when it is made."""

    def __init__(self) -> None:
        self._began, self._busy, self._own = time.monotonic(), _busy_seconds(), _own_seconds()

    def of_others(self) -> float | None:
        """Processor cores that other programs have used since, on average; None where the system doesn't say.

        This process and its children are left out, those children alone that have ended.
        """
        busy, seconds = _busy_seconds(), time.monotonic() - self._began
        if busy is None or self._busy is None or seconds <= 0:
            return None
        return round(max(0.0, busy - self._busy - (_own_seconds() - self._own)) / seconds, 2)


def _busy_seconds() -> float | None:
    """Seconds that all processors together have worked since the system started."""
    try:
        columns = [int(column) for column in STAT.read_text().split("\n", 1)[0].split()[1:9]]
    except (OSError, ValueError):
        return None
    return sum(value for place, value in enumerate(columns) if place not in _IDLE) / os.sysconf("SC_CLK_TCK")


def _own_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system

"""The CPU cores that this process may use."""

from __future__ import annotations

import os


def usable_cores() -> int:
    """The number of cores. Where a process can't be limited to some of them, as on macOS: all of the machine's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

"""The CPU cores that this process may use."""

from __future__ import annotations

import os


def usable_cores() -> int:
    """How many there are. On a system that can't limit a process to some cores, such as macOS: all of the machine's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

"""End an attempt to start Ray that hangs. Ray can wait for a process of its own without any limit."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import ray

from suite.errors import InputError

REAP = 5.0  # seconds; a process that waits for a device can outlive SIGKILL
GRACE = 60.0  # seconds for the attempt to end after its processes were killed


@contextmanager
def deadline(seconds: float, told: InputError, *, grace: float = GRACE) -> Iterator[None]:
    """Kill the Ray processes that the body starts if the body takes longer than `seconds`.

    What waits for these processes then fails: the body raises an exception of Ray's.

    Args:
        seconds: Time that the body may take.
        told: Printed if the body doesn't end within `grace` seconds of the kill. The process then exits with code 2.
        grace: Seconds.
    """
    over, before = threading.Event(), children()

    def watch() -> None:
        if over.wait(seconds):
            return
        end(children() - before)
        if over.wait(grace):
            return
        print(f"error: {told}", file=sys.stderr, flush=True)
        os._exit(2)  # the thread that hangs can't be interrupted

    threading.Thread(target=watch, name="ray-deadline", daemon=True).start()
    try:
        yield
    finally:
        over.set()


def children() -> set[int]:
    """The ids of this process's child processes; empty if the system doesn't list them."""
    found = set[int]()
    for path in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):
            found.update(map(int, path.read_text().split()))
    return found


def end(processes: set[int]) -> None:
    """Kill those of this process's child processes that are Ray's, and wait up to `REAP` seconds for each to end."""
    package = os.path.dirname(ray.__file__).encode()
    for child in processes:
        with suppress(OSError):  # it has ended
            if package in Path(f"/proc/{child}/cmdline").read_bytes():
                os.kill(child, signal.SIGKILL)
                limit = time.monotonic() + REAP
                while os.waitpid(child, os.WNOHANG) == (0, 0) and time.monotonic() < limit:
                    time.sleep(0.02)

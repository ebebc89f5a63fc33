"""Lines that tell how far a long preparation is, and what is left."""

from __future__ import annotations

import sys
import threading
import time
from typing import Self

from suite.text import duration

INTERVAL = 20.0  # seconds from line to line


class Progress:
    """Prints a line to standard error every `INTERVAL` seconds inside of a `with`, whatever the work is waiting for.

    What takes less time prints nothing.
    """

    def __init__(self, what: str) -> None:
        """what: the work as a whole, for instance "preparing flowers"."""
        self._what = what
        self._begin("starting", None, "")
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._print, name="progress", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def phase(self, name: str, total: int | None = None, unit: str = "images") -> None:
        """The next part of the work begins. total: in units; None if it is unknown."""
        self._begin(name, total, unit)

    def advance(self, count: int = 1) -> None:
        """So many units are done."""
        self._done += count

    @property
    def line(self) -> str:
        """What would be printed now."""
        seconds = time.monotonic() - self._began
        if self._total is None:
            return f"{self._what}: {self._phase}, {duration(seconds)} so far"
        left = f", about {duration(seconds / self._done * (self._total - self._done))} left" if self._done else ""
        return f"{self._what}: {self._phase}, {self._done:,} of {self._total:,} {self._unit}{left}"

    def _begin(self, name: str, total: int | None, unit: str) -> None:
        self._phase, self._total, self._unit, self._done = name, total, unit, 0
        self._began = time.monotonic()

    def _print(self) -> None:
        while not self._ended.wait(INTERVAL):
            print(self.line, file=sys.stderr, flush=True)

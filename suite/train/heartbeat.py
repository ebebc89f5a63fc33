"""Progress of a trial while it is trained: a small file, rewritten every few seconds and removed at the end.

    results/NAME/running/ID.json   one for each trial under way: where it runs, how far it is, how fast

`lape status` reads them. A training run never waits for them, and none fails because of them. There are never more of
them than trials under way. The age of a beat is that of its file. The duration of a trial is measured by a monotonic
clock, since the time of day may jump.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from suite.store.beats import Beat, Running

EVERY = 10.0  # seconds from one beat to the next
FIRST = 1.0  # seconds of a trial without any: a grid of thousands of short ones writes no more than it must


Report = Callable[[Sequence[Beat]], None]
_REPORT: ContextVar[Report | None] = ContextVar("report", default=None)


@contextmanager
def reporting(report: Report) -> Iterator[None]:
    """Let training runs in this thread pass their beats to `report` where they don't see the results folder."""
    token = _REPORT.set(report)
    try:
        yield
    finally:
        _REPORT.reset(token)


class Heartbeat:
    """Writes progress updates of trials that are trained together. A context manager.

    Args:
        trial_ids: The trials.
        running: Where beats are written, if the results folder is in sight. A thread writes them: a beat says that the
            process is alive, and its `idle` says since when no step has been taken. Otherwise each step may report a
            beat (see `reporting`).
        node: The name of this machine.
        every: Seconds from one beat to the next.
    """

    def __init__(
        self, trial_ids: Sequence[str], running: Running | None, node: str | None = None, every: float = EVERY
    ) -> None:
        self._ids, self._running, self._node, self._every = trial_ids, running, node, every
        self._started_at = datetime.now(UTC).isoformat(timespec="seconds")
        self._began = self._stepped = self._beaten = time.monotonic()
        self._images = self._images_before = 0
        self._epoch = self._step = 0
        self._epochs: int | None = None
        self._steps: int | None = None
        self._device: str | None = None
        self._speed: float | None = None
        self._reported = self._began + FIRST - every
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        if self._running is not None:
            self._thread = threading.Thread(target=self._write, name="heartbeat", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        if self._running is not None:
            for trial_id in self._ids:
                self._running.remove(trial_id)

    def trains(self, epochs: int, steps: int, device: str) -> None:
        """Training begins, of so many epochs with so many steps each."""
        self._epochs, self._steps, self._device = epochs, steps, device
        self._beaten = self._stepped = time.monotonic()

    def stepped(self, epoch: int, step: int, images: int) -> None:
        """A step of an epoch is done. images: how many each trial has trained on since the last call."""
        self._epoch, self._step, self._stepped = epoch, step, time.monotonic()
        self._images += images
        report = _REPORT.get()
        if self._running is None and report is not None and self._stepped - self._reported >= self._every:
            self._reported = self._stepped
            report(self._beats())

    def _write(self) -> None:
        assert self._running is not None
        wait = FIRST
        while not self._ended.wait(wait):
            wait = self._every
            for beat in self._beats():
                self._running.write(beat)

    def _beats(self) -> list[Beat]:
        now = time.monotonic()
        images = self._images
        if images > self._images_before:
            self._speed = (images - self._images_before) / max(now - self._beaten, 1e-9)
            self._images_before, self._beaten = images, now
        return [
            Beat.model_construct(
                trial_id=trial_id,
                started_at=self._started_at,
                node=self._node,
                device=self._device,
                seconds=round(now - self._began, 3),
                idle=round(max(now - self._stepped, 0.0), 3),
                epoch=self._epoch,
                epochs=self._epochs,
                step=self._step,
                steps=self._steps,
                images_per_second=self._speed,
            )
            for trial_id in self._ids
        ]

"""Progress of a running trial: a small file that is rewritten every few seconds and removed at the end.

    results/NAME/running/ID.json   one per running trial: its node, its progress and its speed

`lape status` reads these files. A training run never waits for them and never fails because of them. The age of a
heartbeat is the age of its file. Durations come from a monotonic clock, because the system clock can jump.
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

EVERY = 10.0  # seconds from one heartbeat to the next
FIRST = 1.0  # seconds before a trial's first heartbeat: a grid of many very short trials then writes none


Report = Callable[[Sequence[Beat]], None]
_REPORT: ContextVar[Report | None] = ContextVar("report", default=None)


@contextmanager
def reporting(report: Report) -> Iterator[None]:
    """Pass heartbeats of training runs in this thread to `report`, where the results folder is not accessible."""
    token = _REPORT.set(report)
    try:
        yield
    finally:
        _REPORT.reset(token)


class Heartbeat:
    """Writes progress updates of trials that are trained together. A context manager.

    Args:
        trial_ids: The ids of the trials.
        running: Where heartbeats are written; None if the results folder is not accessible. A background thread writes
            them. A heartbeat shows that the process is alive; its `idle` field is the time since the last training
            step. With None, training steps pass heartbeats to the function given to `reporting`.
        node: The name of this machine.
        every: Seconds from one heartbeat to the next.
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
        """Called when training begins.

        Args:
            epochs: Epochs of the training run.
            steps: Steps per epoch.
            device: The name of the device.
        """
        self._epochs, self._steps, self._device = epochs, steps, device
        self._beaten = self._stepped = time.monotonic()

    def stepped(self, epoch: int, step: int, images: int) -> None:
        """Called after training steps.

        Args:
            epoch: The current epoch, from 0.
            step: Steps of this epoch done so far.
            images: Images that each trial has trained on since the last call.
        """
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

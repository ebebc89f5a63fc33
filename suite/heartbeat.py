"""What is known of a trial while it is trained: a small file, written anew every few seconds, gone when it ends.

    results/NAME/running/ID.json   one for each trial under way: where it runs, how far it is, how fast

`lape status` reads them. They are no evidence: a training never waits for them, and none fails because of them. There
are never more of them than trials under way. How old a beat is, is told by its file, and how long a trial runs, by a
clock that nobody can set: the time of day may jump.
"""

from __future__ import annotations

import os
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

RUNNING = "running"
EVERY = 10.0  # seconds from one beat to the next
FIRST = 1.0  # seconds of a trial without any: a grid of thousands of short ones writes no more than it must
LOST = 180.0  # seconds without a beat, after which a trial is taken for lost
_LONGEST = 4096  # bytes of a beat's file: no more is read of what lies there
_FILE = re.compile(r"[0-9a-f]{16}\.json")

# Hosts by name only, and nothing that could steer a terminal: the files may come from anywhere.
_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=253)]
_Seconds = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]
_Count = Annotated[int, Field(ge=0, lt=2**63)]


class Beat(BaseModel):
    """What a trial under way says of itself.

    seconds: since it was started. idle: since its last step. images_per_second: trained, since the last beat; of
    several seeds that are trained at once, each has its own. Null: not known yet.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    trial_id: Annotated[str, Field(pattern=r"^[0-9a-f]+$", min_length=16, max_length=16)]
    started_at: Annotated[str, Field(pattern=r"^[0-9T:+.-]+$", max_length=40)]
    node: _Name | None = None
    device: Annotated[str, Field(pattern=r"^[A-Za-z0-9_ ().,:@/+-]+$", max_length=200)] | None = None
    seconds: _Seconds = 0.0
    idle: _Seconds = 0.0
    epoch: _Count = 0
    epochs: _Count | None = None
    step: _Count = 0
    steps: _Count | None = None
    images_per_second: _Seconds | None = None

    @property
    def share(self) -> float | None:
        """How much of the training is done, from 0 to 1; None if that isn't known."""
        if not self.epochs or not self.steps:
            return None
        return min((self.epoch + self.step / self.steps) / self.epochs, 1.0)


@dataclass(frozen=True)
class Seen:
    """A beat as it was found. age: seconds since it was written, by its file."""

    beat: Beat
    age: float
    written: int  # nanoseconds: differs from that of the beat before

    @property
    def lost(self) -> bool:
        """Whether it should have been followed by another one long ago."""
        return self.age > LOST


class Running:
    """The beats in a results folder."""

    def __init__(self, results: Path) -> None:
        self.folder = results / RUNNING

    def write(self, beat: Beat) -> None:
        """Put a beat in the place of the one before. It is whole or not there; a disk that is full loses it."""
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(prefix=f".{beat.trial_id}.", dir=self.folder)
            try:
                with os.fdopen(handle, "w") as file:
                    file.write(beat.model_dump_json(exclude_none=True))
                os.chmod(temporary, 0o644)
                os.replace(temporary, self.folder / f"{beat.trial_id}.json")
            except OSError:
                os.unlink(temporary)

    def remove(self, trial_id: str) -> None:
        """The trial has ended."""
        with suppress(OSError):
            (self.folder / f"{trial_id}.json").unlink()

    def clear(self) -> None:
        """Nothing runs any more: what a driver that was killed has left."""
        with suppress(OSError):
            for entry in os.scandir(self.folder):
                with suppress(OSError):
                    os.unlink(entry.path)

    def read(self) -> dict[str, Seen]:
        """The beats by trial. What is no beat is passed over, whatever it is."""
        found = {}
        now = time.time()
        with suppress(OSError):
            for entry in os.scandir(self.folder):
                if _FILE.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                    seen = _read(Path(entry.path), now)
                    if seen is not None and entry.name == f"{seen.beat.trial_id}.json":
                        found[seen.beat.trial_id] = seen
        return found


def parse_beat(text: str | bytes) -> Beat | None:
    """A beat from its JSON; None if it is none."""
    try:
        return Beat.model_validate_json(text)
    except ValidationError:
        return None


def _read(path: Path, now: float) -> Seen | None:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(handle, "rb") as file:
            written = os.fstat(handle)
            beat = parse_beat(file.read(_LONGEST))
    except OSError:  # it has ended meanwhile
        return None
    if beat is None:
        return None
    # A file of the future means that a clock was set back: it is as old as the clocks can tell, that is not at all.
    return Seen(beat, max(now - written.st_mtime, 0.0), written.st_mtime_ns)


Report = Callable[[Sequence[Beat]], None]
_REPORT: ContextVar[Report | None] = ContextVar("report", default=None)


@contextmanager
def reporting(report: Report) -> Iterator[None]:
    """Let trainings of this thread pass their beats on by `report`, where they don't see the results folder."""
    token = _REPORT.set(report)
    try:
        yield
    finally:
        _REPORT.reset(token)


class Heartbeat:
    """Beats for trials that are trained as one, from its beginning to its end. A context manager.

    running: the results folder's, if it is in sight: then a thread writes there, so that a beat says that the process
    is alive, and `idle`, whether its training is. If it isn't, each step may report one (`reporting`). node: this
    machine's name.
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
        """A training begins: of so many epochs, each of so many steps."""
        self._epochs, self._steps, self._device = epochs, steps, device
        self._beaten = self._stepped = time.monotonic()

    def stepped(self, epoch: int, step: int, images: int) -> None:
        """The training has come to this step of this epoch. images: trained since the last call, by each trial."""
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


def starting(trial_id: str, node: str | None = None) -> Beat:
    """What the driver knows of a trial that it has just started."""
    return Beat(trial_id=trial_id, started_at=datetime.now(UTC).isoformat(timespec="seconds"), node=node)

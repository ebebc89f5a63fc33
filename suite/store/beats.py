"""Heartbeats: small files in which running trials report their progress."""

from __future__ import annotations

import os
import re
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

RUNNING = "running"
LOST = 180.0  # seconds without a beat, after which a trial counts as lost
_LONGEST = 4096  # bytes of a beat's file: no more is read of what lies there
_FILE = re.compile(r"[0-9a-f]{16}\.json")
# Hosts by name only, and nothing that could steer a terminal: the files may come from anywhere.
_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=253)]
_Seconds = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]
_Count = Annotated[int, Field(ge=0, lt=2**63)]


class Beat(BaseModel):
    """The progress of a running trial. Null: not known yet.

    seconds: since the trial was started. idle: seconds since its last step. images_per_second: training images since
    the last beat; seeds that are trained together each have their own number.
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
        """Whether the next beat is long overdue."""
        return self.age > LOST


class Running:
    """The beats in a results folder."""

    def __init__(self, results: Path) -> None:
        self.folder = results / RUNNING

    def write(self, beat: Beat) -> None:
        """Replace the trial's beat, atomically. If the disk is full, the beat is dropped."""
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
        """Remove the beat of a trial that has ended."""
        with suppress(OSError):
            (self.folder / f"{trial_id}.json").unlink()

    def clear(self) -> None:
        """Remove all beats, such as those that a killed driver left."""
        with suppress(OSError):
            for entry in os.scandir(self.folder):
                with suppress(OSError):
                    os.unlink(entry.path)

    def read(self) -> dict[str, Seen]:
        """The beats by trial. Files that aren't valid beats are ignored."""
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
    """A beat from its JSON; None if it isn't valid."""
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
    # A file from the future means that a clock was set back: count its age as zero.
    return Seen(beat, max(now - written.st_mtime, 0.0), written.st_mtime_ns)


def starting(trial_id: str, node: str | None = None) -> Beat:
    """The first beat of a trial, which the driver writes when it starts it."""
    return Beat(trial_id=trial_id, started_at=datetime.now(UTC).isoformat(timespec="seconds"), node=node)

"""What was measured and estimated of a grid's time, kept beside its results. It is no evidence.

`calibration.json` has the paces that `lape plan --calibrate` measured, `estimate.json` what the last run was expected
to take, and what it took.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from suite.errors import InputError, first_line
from suite.run.timing.estimate import Estimate, Interval
from suite.run.timing.pace import Device, Kind, Pace
from suite.store.files import check_folder, check_inside, read_regular, write_atomic
from suite.text import duration

CALIBRATION, ESTIMATE = "calibration.json", "estimate.json"
_LONGEST = 2**26  # bytes: no such file is longer
_DISTURBING = 0.25  # cores: what a desktop uses by itself is less

_Seconds = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]
_Text = Annotated[str, Field(max_length=400)]
M = TypeVar("M", bound=BaseModel)


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Device(_Model):
    name: _Text
    gpu: bool
    precision: _Text
    threads: Annotated[int, Field(ge=0, lt=2**31)]


class _Pace(_Model):
    kind: Annotated[tuple[_Text, _Text], Field(strict=False)]
    device: _Device
    train: Annotated[float, Field(gt=0, le=1e12, allow_inf_nan=False)]
    test: _Seconds
    at: _Text
    start_up: _Seconds | None = None


class _Calibration(_Model):
    version: Annotated[int, Field(ge=1, le=1)] = 1
    made_at: _Text
    workers: Annotated[int, Field(ge=1)]
    worker_seconds: _Seconds
    paces: list[_Pace]
    load: _Seconds | None = None


@dataclass(frozen=True)
class Measured:
    """A calibration.

    Args:
        made_at: When, in UTC.
        workers: Processes that measured at the same time.
        worker_seconds: Seconds until the last of them had begun.
        paces: What they measured.
        load: Processor cores that other programs used meanwhile; None if that isn't known.
    """

    made_at: str
    workers: int
    worker_seconds: float
    paces: Sequence[Pace]
    load: float | None = None

    @property
    def warning(self) -> str | None:
        """What to say if other programs disturbed the calibration."""
        if self.load is None or self.load < _DISTURBING:
            return None
        cores = f"{self.load:.1f} core{'' if f'{self.load:.1f}' == '1.0' else 's'}"
        return f"calibrated while other programs used {cores} of this machine: without them training is faster"

    def write(self, folder: Path) -> None:
        """Keep it in a results folder, in place of the one before. Raises `InputError` if it can't be written."""
        values = {
            "version": 1,
            "made_at": self.made_at,
            "workers": self.workers,
            "worker_seconds": self.worker_seconds,
            "load": self.load,
            "paces": [
                {"kind": [pace.kind.whole, pace.kind.model], "device": asdict(pace.device), "train": pace.train}
                | {"test": pace.test, "at": pace.at, "start_up": pace.start_up}
                for pace in self.paces
            ],
        }
        write_atomic(folder / CALIBRATION, json.dumps(values, indent=1).encode())


def read_calibration(folder: Path) -> Measured | None:
    """The calibration in a results folder, if there is one. Raises `InputError` if it is damaged."""
    held = _read(folder / CALIBRATION, _Calibration, "calibrate again with `lape plan --calibrate`")
    if held is None:
        return None
    paces = [
        Pace(Kind(*pace.kind), Device(**pace.device.model_dump()), pace.train, pace.test, pace.at, pace.start_up, True)
        for pace in held.paces
    ]
    return Measured(held.made_at, held.workers, held.worker_seconds, paces, held.load)


class Took(_Model):
    """What a run took: trials that were done, seconds of their training, and seconds from the first start to the end.

    at_once: the most trials at a time. whole: every trial of the estimate was done.
    """

    trials: Annotated[int, Field(ge=0)]
    seconds: _Seconds
    expected_seconds: _Seconds
    wall: _Seconds
    at_once: Annotated[int, Field(ge=0)]
    whole: bool


class Forecast(_Model):
    """What a run was expected to take, as an `Estimate` has it, and what it took once it is over."""

    version: Annotated[int, Field(ge=1, le=1)] = 1
    made_at: _Text
    device: _Text | None
    trials: Annotated[int, Field(ge=0)]
    unknown: Annotated[int, Field(ge=0)]
    seconds: _Seconds
    interval: tuple[_Seconds, _Seconds] | None
    workers: Annotated[int, Field(ge=1)]
    wall: _Seconds
    wall_interval: tuple[_Seconds, _Seconds] | None
    cells: dict[_Text, _Seconds] = Field(description="seconds of each trial, by cell")
    took: Took | None = None

    def write(self, folder: Path) -> None:
        """Keep it in a results folder. Raises `InputError` if it can't be written."""
        write_atomic(folder / ESTIMATE, self.model_dump_json(indent=1).encode())

    @property
    def verdict(self) -> str | None:
        """How good it was, in a sentence; None before the run is over, or if there was no estimate."""
        if self.took is None or not self.took.trials or not self.took.expected_seconds:
            return None
        if self.took.whole:
            told = f"estimated {said(self.wall, self.wall_interval)}, took {duration(self.took.wall)}"
            return told + _judged(self.took.wall, self.wall_interval) + f", {self.took.at_once} at a time"
        expected = self.took.expected_seconds
        bounds = _scaled(self.interval, expected / self.seconds)
        told = f"training of {self.took.trials} trials estimated {said(expected, bounds)}"
        return f"{told}, took {duration(self.took.seconds)}" + _judged(self.took.seconds, bounds)


def read_forecast(folder: Path) -> Forecast | None:
    """The estimate of the last run in a results folder, if there is one. Raises `InputError` if it is damaged."""
    return _read(folder / ESTIMATE, Forecast, "delete it: the next run writes another one")


def forecast(found: Estimate, made_at: str) -> Forecast:
    """An estimate as it is kept."""
    return Forecast(
        made_at=made_at,
        device=None if found.device is None else found.device.label,
        trials=sum(cell.trials for cell in found.cells),
        unknown=found.unknown,
        seconds=found.seconds,
        interval=found.interval,
        workers=found.workers,
        wall=found.wall,
        wall_interval=found.wall_interval,
        cells={cell.cell_id: cell.seconds for cell in found.cells if cell.seconds is not None},
    )


def said(seconds: float, interval: Interval | None) -> str:
    """12 min [10 min, 15 min]."""
    if interval is None:
        return duration(seconds)
    return f"{duration(seconds)} [{duration(interval[0])}, {duration(interval[1])}]"


def _judged(seconds: float, interval: Interval | None) -> str:
    if interval is None:
        return " (there was no interval)"
    if interval[0] <= seconds <= interval[1]:
        return ": within the interval"
    return f": {'above' if seconds > interval[1] else 'below'} the interval"


def _scaled(interval: Interval | None, factor: float) -> Interval | None:
    return None if interval is None else (interval[0] * factor, interval[1] * factor)


def _read(path: Path, model: type[M], fix: str) -> M | None:
    check_folder(path.parent)
    check_inside(path, path.parent)
    content = read_regular(path, _LONGEST)
    if content is None:
        return None
    try:
        return model.model_validate_json(content)
    except ValueError as error:
        raise InputError(
            f"{path.name} is damaged",
            expected="what the suite wrote there",
            found=first_line(error),
            where=str(path),
            fix=fix,
        ) from None

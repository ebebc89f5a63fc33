"""Files with time measurements and estimates of a grid, stored next to its results. Verdicts don't use them.

`calibration.json` has the paces that `lape plan --calibrate` measured. `estimate.json` has the estimated and the actual
time of the last run.
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
from suite.text import counted, precise_duration

CALIBRATION, ESTIMATE = "calibration.json", "estimate.json"
_LONGEST = 2**26  # bytes; longer files are refused
_DISTURBING = 0.25  # cores used by other programs that cause a warning; an idle desktop uses less

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
    """The result of a calibration.

    Args:
        made_at: The time of the calibration, in UTC.
        workers: Processes that measured at once.
        worker_seconds: Seconds until all of them were ready.
        paces: The measured paces.
        load: Mean number of CPU cores that other programs used meanwhile; None: unknown.
    """

    made_at: str
    workers: int
    worker_seconds: float
    paces: Sequence[Pace]
    load: float | None = None

    @property
    def warning(self) -> str | None:
        """A warning if other programs disturbed the calibration, else None."""
        if self.load is None or self.load < _DISTURBING:
            return None
        cores = f"{self.load:.1f} core{'' if f'{self.load:.1f}' == '1.0' else 's'}"
        return f"calibrated while other programs used {cores} of this machine: without them training is faster"

    def write(self, folder: Path) -> None:
        """Write the calibration to a results folder, replacing any earlier one.

        Raises:
            InputError: The file can't be written.
        """
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
    """Read the calibration in a results folder; None if there is none.

    Raises:
        InputError: The file is damaged.
    """
    held = _read(folder / CALIBRATION, _Calibration, "calibrate again with `lape plan --calibrate`")
    if held is None:
        return None
    paces = [
        Pace(Kind(*pace.kind), Device(**pace.device.model_dump()), pace.train, pace.test, pace.at, pace.start_up, True)
        for pace in held.paces
    ]
    return Measured(held.made_at, held.workers, held.worker_seconds, paces, held.load)


class Took(_Model):
    """The actual time of a run.

    Fields:
        trials: Number of done trials that had an estimate.
        seconds: The sum of their training times.
        expected_seconds: The estimate of that sum.
        wall: Seconds from the first trial's start to the last trial's end.
        at_once: The largest number of trials that ran at a time.
        whole: Whether every trial had an estimate and is done.
    """

    trials: Annotated[int, Field(ge=0)]
    seconds: _Seconds
    expected_seconds: _Seconds
    wall: _Seconds
    at_once: Annotated[int, Field(ge=0)]
    whole: bool


class Forecast(_Model):
    """The estimated time of a run, with the fields of an `Estimate`, and the actual time after the run."""

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
        """Write the forecast to a results folder.

        Raises:
            InputError: The file can't be written.
        """
        write_atomic(folder / ESTIMATE, self.model_dump_json(indent=1).encode())

    @property
    def verdict(self) -> str | None:
        """A sentence that compares estimate and actual time; None before the run has ended or without an estimate."""
        if self.took is None or not self.took.trials or not self.took.expected_seconds:
            return None
        if self.took.whole:
            told = f"estimated {said(self.wall, self.wall_interval)}, took {precise_duration(self.took.wall)}"
            return told + _judged(self.took.wall, self.wall_interval) + f", {self.took.at_once} at a time"
        expected = self.took.expected_seconds
        bounds = _scaled(self.interval, expected / self.seconds)
        told = f"training of {counted(self.took.trials, 'trial')} estimated {said(expected, bounds)}"
        return f"{told}, took {precise_duration(self.took.seconds)}" + _judged(self.took.seconds, bounds)


def read_forecast(folder: Path) -> Forecast | None:
    """Read the forecast of the last run in a results folder; None if there is none.

    Raises:
        InputError: The file is damaged.
    """
    return _read(folder / ESTIMATE, Forecast, "delete it: the next run writes another one")


def forecast(found: Estimate, made_at: str) -> Forecast:
    """Convert an estimate, made at a time in UTC, to the form that is stored."""
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
    """A duration and its interval as text, such as 12 min [10 min, 15 min]."""
    if interval is None:
        return precise_duration(seconds)
    return f"{precise_duration(seconds)} [{precise_duration(interval[0])}, {precise_duration(interval[1])}]"


def _judged(seconds: float, interval: Interval | None) -> str:
    if interval is None:
        return " (there was no interval)"
    # As they are shown: otherwise a time would seem to be outside of an interval that ends with it.
    if interval[0] <= seconds <= interval[1] or precise_duration(seconds) in map(precise_duration, interval):
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

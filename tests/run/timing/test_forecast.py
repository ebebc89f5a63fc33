"""What is kept of calibrations and estimates, and what it says when a run is over."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from suite.errors import InputError
from suite.grid.grid import load_grid
from suite.run.timing.estimate import estimate
from suite.run.timing.forecast import (
    CALIBRATION,
    ESTIMATE,
    Forecast,
    Measured,
    Took,
    forecast,
    read_calibration,
    read_forecast,
)
from suite.run.timing.load import Load
from suite.run.timing.pace import Device, Kind, Pace

Write = Callable[..., Path]
PACE = Pace(Kind("a" * 16, "b" * 16), Device("a GPU", True, "bf16", 0), 0.25, 0.0, "2026-11-26", 1.5, True)
BASE = Forecast(
    made_at="2026-11-26", device="a processor", trials=4, unknown=0, seconds=400, interval=(300, 500), workers=2,
    wall=200, wall_interval=(150, 250), cells={"c": 100.0},
)  # fmt: skip


def test_a_calibration_comes_back(tmp_path: Path) -> None:
    assert read_calibration(tmp_path) is None
    written = Measured("2026-11-26", 2, 3.5, [PACE, PACE])
    written.write(tmp_path)
    assert read_calibration(tmp_path) == written
    assert written.warning is None
    loaded = replace(written, load=1.25)
    loaded.write(tmp_path)
    assert read_calibration(tmp_path) == loaded
    assert "other programs used 1.2 cores" in str(loaded.warning)
    assert replace(written, load=0.1).warning is None


def test_the_load_of_others_is_theirs_alone() -> None:
    """A process that isn't ours works meanwhile; so does this one."""
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        time.sleep(0.3)
        load, until = Load(), time.monotonic() + 1.5
        while time.monotonic() < until:
            pass
        found = load.of_others()
    finally:
        busy.kill()
        busy.wait()
    assert found is not None
    assert found > 0.2  # as much as the system gave it
    assert found < len(os.sched_getaffinity(0)) * 64


def test_an_estimate_comes_back(write_grid: Write, tmp_path: Path) -> None:
    assert read_forecast(tmp_path) is None
    made = forecast(estimate(load_grid(write_grid()).expand().trials, []), "2026-11-26")
    assert (made.trials, made.unknown, made.interval) == (4, 4, None)
    made.write(tmp_path)
    assert read_forecast(tmp_path) == made


@pytest.mark.parametrize("text", ["", "[]", "{", "\x80\x04.", '{"version": 2}', '{"paces": [{"train": -1}]}'])
def test_damage_is_told(tmp_path: Path, text: str) -> None:
    for name, read in ((CALIBRATION, read_calibration), (ESTIMATE, read_forecast)):
        (tmp_path / name).write_text(text)
        with pytest.raises(InputError, match=name):
            read(tmp_path)


@pytest.mark.parametrize(
    ("changes", "took", "told"),
    [
        ({}, None, None),
        ({}, Took(trials=0, seconds=0, expected_seconds=0, wall=0, at_once=0, whole=False), None),
        (
            {},
            Took(trials=4, seconds=450, expected_seconds=400, wall=220, at_once=2, whole=True),
            "estimated 3 min 20 s [2 min 30 s, 4 min 10 s], took 3 min 40 s: within the interval, 2 at a time",
        ),
        (
            {"interval": None, "wall_interval": None},
            Took(trials=4, seconds=450, expected_seconds=400, wall=220, at_once=1, whole=True),
            "estimated 3 min 20 s, took 3 min 40 s (there was no interval), 1 at a time",
        ),
        (
            {},
            Took(trials=1, seconds=130, expected_seconds=100, wall=140, at_once=2, whole=False),
            "training of 1 trial estimated 1 min 40 s [1 min 15 s, 2 min 5 s], took 2 min 10 s: above the interval",
        ),
        (
            {},
            Took(trials=4, seconds=100, expected_seconds=400, wall=100, at_once=2, whole=True),
            "estimated 3 min 20 s [2 min 30 s, 4 min 10 s], took 1 min 40 s: below the interval, 2 at a time",
        ),
        (
            {"wall": 0.3, "wall_interval": (0.2, 0.52)},
            Took(trials=4, seconds=1, expected_seconds=0.6, wall=0.54, at_once=2, whole=True),
            "estimated 0.30 s [0.20 s, 0.52 s], took 0.54 s: above the interval, 2 at a time",
        ),
        (
            {},  # as the end of the interval, as it is shown
            Took(trials=4, seconds=450, expected_seconds=400, wall=250.3, at_once=2, whole=True),
            "estimated 3 min 20 s [2 min 30 s, 4 min 10 s], took 4 min 10 s: within the interval, 2 at a time",
        ),
    ],
)
def test_how_good_it_was(changes: dict[str, object], took: Took | None, told: str | None) -> None:
    assert BASE.model_copy(update={**changes, "took": took}).verdict == told

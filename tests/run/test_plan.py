"""`lape plan` as it is typed, with a calibration: a few steps for real."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from suite.cli import main
from suite.grid.grid import load_grid
from suite.run.timing.forecast import Measured, read_calibration, read_forecast
from suite.store.folder import Store
from suite.text import Progress
from tests.records import make_record

Write = Callable[..., Path]


class Shell:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys
        self.err = ""

    def __call__(self, *arguments: str | Path) -> str:
        self._monkeypatch.setattr(sys, "argv", ["lape", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        self.code = stop.value.code or 0
        out, self.err = self._capsys.readouterr()
        return out


@pytest.fixture
def lape(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, data_folder: Path
) -> Shell:
    monkeypatch.setenv("LAPE_DATA", str(data_folder))
    monkeypatch.chdir(tmp_path)
    return Shell(monkeypatch, capsys)


def test_from_stored_runs(lape: Shell, write_grid: Write, tmp_path: Path) -> None:
    path = write_grid()
    for trial, seconds in zip(load_grid(path).expand().trials, (9.0, 11.0), strict=False):
        Store(tmp_path / "results" / "small").put(make_record(trial, train_seconds=seconds))
    out = lape("plan", path, "--workers", "2", "--csv", "cells.csv")
    assert "about 20 s, 95 % from" in out
    assert "with 2 trials at a time" in out
    assert "tiny learnable lape ln default digits: 1 × 10 s, as 2 runs" in out
    told = json.loads(lape("plan", path, "--workers", "2", "--json"))
    assert told["trials"] == {"total": 4, "done": 2, "failed": 0, "to_do": 2}
    assert (told["seconds"], told["wall_seconds"]) == (pytest.approx(20), pytest.approx(10))
    assert told["interval"][0] < 20 < told["interval"][1]
    assert told["hours"] == pytest.approx(20 / 3600)
    assert told["unit"] == "core-hours"
    rows = list(csv.DictReader(io.StringIO(lape("plan", path, "--csv", "-"))))
    assert rows == list(csv.DictReader(io.StringIO((tmp_path / "cells.csv").read_text())))
    assert [(row["cell"], row["trials"], row["basis"]) for row in rows] == [
        ("tiny learnable default ln default digits", "1", "runs"),
        ("tiny learnable lape ln default digits", "1", "runs"),
    ]
    assert float(rows[0]["seconds_per_epoch"]) == pytest.approx(5)
    Measured("2026-01-01T00:00:00", 2, 5.4, []).write(tmp_path / "results" / "small")
    assert "with 2 trials at a time, 5.4 s of it until they begin\n" in lape("plan", path, "--workers", "2")


@pytest.mark.slow
def test_a_calibration_and_the_run_that_it_tells_of(
    lape: Shell, write_grid: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("suite.run.timing.calibration.Progress", partial(Progress, interval=1.0))
    path, folder = write_grid(("epochs: 2", "epochs: 40")), tmp_path / "results" / "small"
    assert "unknown before a first trial" in lape("plan", path)
    assert "--calibrate` measures a few steps" in lape("plan", path)
    told = json.loads(lape("plan", path, "--calibrate", "--workers", "1", "--json"))
    assert lape.code == 0, lape.err
    assert "calibrating: " in lape.err  # there is no terminal: lines, with what is left
    assert " of 3 measurements" in lape.err
    assert {cell["basis"] for cell in told["cells"]} == {"calibration"}
    assert told["trials_without_estimate"] == 0
    assert 0 < told["interval"][0] < told["seconds"] < told["interval"][1]
    assert told["degrees_of_freedom"] == pytest.approx(2)  # joins share a kind: three rounds of one
    measured = read_calibration(folder)
    assert measured is not None
    assert measured.workers == 1
    assert measured.load is not None
    for other in (["--set", "recipe.precision=bf16"], ["--threads", "2"]):  # it says nothing of these
        assert json.loads(lape("plan", path, *other, "--json"))["trials_without_estimate"] == 4
    assert [pace.start_up is None for pace in measured.paces] == [True, False, False]
    assert not (folder / "runs.jsonl").exists()
    assert Store(folder).records() == {}
    out = lape("run", path, "--executor", "serial")
    assert lape.code == 0, lape.err
    assert "time: estimated" in out
    held = read_forecast(folder)
    assert held is not None
    assert held.took is not None
    assert held.took.whole
    assert held.verdict is not None
    assert held.verdict in lape("status", path)
    assert held.seconds / 5 < held.took.seconds < held.seconds * 5  # of the right size, on a machine that does more
    again = lape("plan", path, "--seeds", "3")
    assert "as 4 runs" in again


def test_a_calibration_needs_the_data(lape: Shell, write_grid: Write, tmp_path: Path) -> None:
    lape("plan", write_grid(), "--calibrate", "--data", tmp_path / "empty")
    assert lape.code == 2
    assert "lape data prepare digits" in lape.err


def test_a_calibration_that_is_damaged(lape: Shell, write_grid: Write, tmp_path: Path) -> None:
    file = tmp_path / "results" / "small" / "calibration.json"
    file.parent.mkdir(parents=True)
    file.write_text("{")
    lape("plan", write_grid())
    assert lape.code == 2
    assert "calibration.json" in lape.err

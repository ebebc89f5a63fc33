"""`lape status` as it is typed: in another process, while a grid runs, and on what a run has left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from suite.cli import main
from suite.grid.grid import load_grid
from suite.store.beats import LOST, Beat, Running, starting
from suite.store.folder import Store
from tests.records import make_record

Write = Callable[..., Path]
LAPE = [sys.executable, "-m", "suite"]


def status(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> str:
    monkeypatch.setattr(sys, "argv", ["lape", "status", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        main()
    out = capsys.readouterr().out
    assert stop.value.code in (0, None), out
    return out


@pytest.fixture
def under_way(write_grid: Write, tmp_path: Path) -> Path:
    """A grid with a trial that is done, one that runs, one that is lost and one to do."""
    path, folder = write_grid(), tmp_path / "results" / "small"
    trials, running = load_grid(path).expand().trials, Running(folder)
    Store(folder).put(make_record(trials[0], train_seconds=60.0))
    at = "2026-11-21T00:00:00+00:00"
    running.write(
        Beat(trial_id=trials[1].id, started_at=at, node="gpu-3", device="cpu", seconds=30.0, epoch=1, epochs=2,
             step=0, steps=2, images_per_second=1234.5)
    )  # fmt: skip
    running.write(starting(trials[2].id))
    old = time.time() - LOST - 60
    os.utime(running.folder / f"{trials[2].id}.json", (old, old))
    return path


def test_what_it_says(
    under_way: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = status(capsys, monkeypatch, under_way, "--results", tmp_path / "results")
    ids = [trial.id for trial in load_grid(under_way).expand().trials]
    assert "small: 1/4 done, 2 to do, 1 running, 1 lost" in out
    assert "on gpu-3: 1 running, 1,234 images/s" in out
    assert "about 2 min 30 s left, 1 at a time" in out  # its own half a minute, and two trials of a minute
    assert "0.03 core-hours spent, about 0.04 core-hours left" in out
    assert f"{ids[1]} tiny learnable lape digits seed 0, since 2026-11-21T00:00:00+00:00 on gpu-3, epoch 2 of 2" in out
    assert f"{ids[2]} tiny learnable default digits seed 1, lost: not heard of for 4 min" in out


def test_for_machines(
    under_way: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = json.loads(status(capsys, monkeypatch, under_way, "--results", tmp_path / "results", "--json"))
    assert told["trials"] == {"total": 4, "to_do": 2, "running": 1, "lost": 1, "done": 1, "failed": {}}
    assert told["nodes"] == [{"name": "gpu-3", "running": 1, "images_per_second": 1234.5}]
    assert told["seconds_left"] == pytest.approx(150)
    assert not told["complete"]


def test_a_terminal_is_not_steered_by_what_a_record_holds(
    write_grid: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_grid()
    trial = load_grid(path).expand().trials[0]
    record = make_record(trial, status="error", error="boom\n\x1b[2J[red]gone[/red]")
    Store(tmp_path / "results" / "small").put(record)
    out = status(capsys, monkeypatch, path, "--results", tmp_path / "results")
    assert "?[2J[red]gone[/red]" in out
    assert "\x1b" not in out


@pytest.mark.slow
def test_a_watcher_in_another_process_sees_a_run_to_its_end(
    write_grid: Write, tmp_path: Path, data_folder: Path
) -> None:
    """Serial, so that it is one trial after another; what it sees on the way depends on the moment, the end doesn't."""
    path = write_grid()
    results = ["--results", str(tmp_path / "results")]
    environment = {**os.environ, "LAPE_DATA": str(data_folder)}
    watch = [*LAPE, "status", str(path), *results, "--watch", "--every", "0.2", "--json"]
    with subprocess.Popen(watch, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as watcher:
        assert watcher.stdout is not None
        first = json.loads(watcher.stdout.readline())
        assert (first["complete"], first["trials"]["to_do"]) == (False, 4)
        subprocess.run(
            [*LAPE, "run", str(path), "--executor", "serial", *results, "--reports", str(tmp_path / "reports")],
            check=True, capture_output=True, env=environment, cwd=tmp_path,
        )  # fmt: skip
        views = [json.loads(line) for line in watcher.stdout]
        assert watcher.wait(30) == 0
    assert views[-1]["complete"]
    assert views[-1]["trials"]["done"] == 4
    done = [view["trials"]["done"] for view in views]
    assert done == sorted(done)
    assert all(sum(view["trials"][state] for state in ("to_do", "running", "done")) == 4 for view in views)
    assert not list((tmp_path / "results" / "small" / "running").iterdir())


def test_a_watch_of_a_complete_grid_ends_at_once(
    write_grid: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, store = write_grid(), Store(tmp_path / "results" / "small")
    for trial in load_grid(path).expand().trials:
        store.put(make_record(trial))
    out = status(capsys, monkeypatch, path, "--results", tmp_path / "results", "--watch")
    assert out.count("4/4 done") == 1
    assert "nothing to do" in out

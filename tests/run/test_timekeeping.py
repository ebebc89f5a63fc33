"""What a run takes, beside what it was expected to take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from suite.grid.grid import load_grid
from suite.grid.trial import Trial
from suite.run.timekeeping import Timekeeper
from suite.run.timing.estimate import estimate
from suite.run.timing.forecast import read_forecast
from suite.run.timing.pace import Paces
from suite.store.beats import starting
from tests.records import make_record

Write = Callable[..., Path]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr("suite.run.timekeeping.time.monotonic", lambda: now[0])
    return now


def keeper(path: Path, folder: Path, workers: int = 1) -> tuple[Timekeeper, list[Trial]]:
    trials = list(load_grid(path).expand().trials)
    paces = [Paces().of_record(make_record(trials[0], train_seconds=seconds)) for seconds in (9.0, 11.0)]
    expected = estimate(trials, [pace for pace in paces if pace is not None], workers)
    return Timekeeper(trials, expected, folder), trials


def test_a_whole_run_is_judged_by_the_clock(write_grid: Write, tmp_path: Path, clock: list[float]) -> None:
    kept, trials = keeper(write_grid(), tmp_path)
    held = read_forecast(tmp_path)
    assert held is not None
    assert held.took is None
    assert held.wall == pytest.approx(40)
    clock[0] += 100  # the cluster starts
    for one, other in (trials[:2], trials[2:]):
        kept.started(one)
        kept.started(other)
        kept.progressed(starting(one.id))
        clock[0] += 12
        kept.finished(make_record(one, train_seconds=10.0))
        kept.finished(make_record(other, train_seconds=12.0))
    clock[0] += 100  # and ends
    closed = kept.close()
    assert closed == read_forecast(tmp_path)
    assert closed.took is not None
    assert (closed.took.wall, closed.took.trials, closed.took.at_once, closed.took.whole) == (24, 4, 2, True)
    assert closed.wall == pytest.approx(20)  # anew, for the two at a time that there were
    assert closed.verdict is not None
    assert "took 24 s" in closed.verdict


def test_what_was_stopped_or_failed_is_judged_by_its_trainings(
    write_grid: Write, tmp_path: Path, clock: list[float]
) -> None:
    kept, trials = keeper(write_grid(), tmp_path)
    for trial, status in zip(trials, ("done", "oom"), strict=False):
        kept.started(trial)
        clock[0] += 50
        seconds = 10.0 if status == "done" else None
        kept.finished(make_record(trial, status=status, train_seconds=seconds))
    verdict = kept.close().verdict
    assert verdict is not None
    assert verdict.startswith("training of 1 trial estimated 10 s")
    assert verdict.endswith("took 10 s: within the interval")


def test_a_run_with_nothing_to_do_leaves_what_was_kept(write_grid: Write, tmp_path: Path) -> None:
    keeper(write_grid(), tmp_path)
    before = read_forecast(tmp_path)
    Timekeeper([], estimate([], []), tmp_path).close()
    assert read_forecast(tmp_path) == before

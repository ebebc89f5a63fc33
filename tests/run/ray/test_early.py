"""Ray that starts while the command does other things, and no more trials at the same time than were asked for."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from suite.errors import InputError
from suite.grid.grid import load_grid
from suite.run.events import Job
from suite.run.queue import Queue
from suite.run.ray.early import EarlyRay
from suite.store.record import RunRecord
from tests.processes import wait_until
from tests.records import Heard, make_record

pytestmark = pytest.mark.filterwarnings("default")  # Ray's own: unclosed sockets and deprecations


@dataclass(frozen=True)
class Crowded:
    """Notes which trials run beside it, and in which process."""

    folder: Path

    def __call__(self, job: Job) -> list[RunRecord]:
        (trial,) = job
        mine = self.folder / f"{trial.id}.runs"
        mine.touch()
        time.sleep(0.3)
        beside = len(list(self.folder.glob("*.runs")))
        mine.unlink()
        (self.folder / f"{trial.id}.seen").write_text(f"{beside} {os.getpid()}")
        return [make_record(trial)]


@pytest.mark.ray
def test_a_cluster_that_started_early_runs_no_more_at_once_than_was_asked_for(
    write_grid: Callable[..., Path], tmp_path: Path
) -> None:
    """There is room for two where there are two cores. One worker does them all: starting another takes seconds."""
    import ray

    from suite.run.ray.tune import Resources, run_ray

    trials = load_grid(write_grid()).expand().trials
    heard, begun = Heard(), EarlyRay()
    try:
        queue = Queue([(trial,) for trial in trials], heard)
        run_ray(queue, Crowded(tmp_path), resources=Resources(0.5, 0), at_once=1, begun=begun)
    finally:
        begun.close()
    assert heard.records.keys() == {trial.id for trial in trials}
    seen = [path.read_text().split() for path in tmp_path.glob("*.seen")]
    assert [beside for beside, _ in seen] == ["1"] * len(trials)
    assert len({process for _, process in seen}) == 1
    assert not ray.is_initialized()


def test_what_goes_wrong_is_raised_where_ray_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(dashboard: bool) -> None:
        raise InputError(f"no Ray, {dashboard=}")

    monkeypatch.setattr("suite.run.ray.starting.start_ray", fail)
    begun = EarlyRay(dashboard=True)
    with pytest.raises(InputError, match="no Ray, dashboard=True"):
        begun.join()
    begun.close()
    ended(begun)


def test_a_start_that_nobody_needed_is_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr("suite.run.ray.starting.start_ray", lambda dashboard: calls.append("started"))
    monkeypatch.setattr("ray.shutdown", lambda: calls.append("shut down"))
    begun = EarlyRay()
    begun.close()
    assert calls == ["started", "shut down"]
    ended(begun)


def ended(begun: EarlyRay) -> None:
    """Its thread is gone, which Ray's processes would not survive."""
    wait_until(
        "the thread that started Ray to end",
        lambda: not any(thread.name == "ray-start" for thread in threading.enumerate()),
    )

"""How far a grid is, seen from outside."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from suite.grid.grid import Expansion, load_grid
from suite.run.status import View, Watcher
from suite.store.beats import LOST, Beat, Running, starting
from suite.store.folder import Store
from tests.records import ENVIRONMENT, make_record

Write = Callable[..., Path]
AT = "2026-11-21T00:00:00+00:00"


@pytest.fixture
def expansion(write_grid: Write) -> Expansion:
    return load_grid(write_grid(), seeds=4).expand()  # 8 trials


def look(expansion: Expansion, folder: Path) -> View:
    return Watcher("small", expansion, folder).look()


def test_an_empty_folder(expansion: Expansion, tmp_path: Path) -> None:
    view = look(expansion, tmp_path / "nothing")
    assert (view.total, view.to_do, view.done, view.running, view.complete) == (8, 8, 0, 0, False)
    assert (view.seconds_left, view.unknown, view.spent, view.left) == (None, 8, {}, {})


def test_trials_by_state_and_by_node(expansion: Expansion, tmp_path: Path) -> None:
    store, running, trials = Store(tmp_path), Running(tmp_path), expansion.trials
    store.put(make_record(trials[0], train_seconds=3600.0))
    store.put(make_record(trials[1], status="oom", error="too large", train_seconds=None, node="b"))
    beat = {"started_at": AT, "device": "cpu", "seconds": 900.0, "epochs": 2, "steps": 2}
    running.write(Beat(trial_id=trials[2].id, node="a", epoch=1, step=0, images_per_second=50.0, **beat))
    running.write(Beat(trial_id=trials[3].id, node="b", epoch=0, step=0, **beat))
    running.write(starting(trials[4].id))
    running.write(starting(trials[0].id))  # it has ended
    running.write(starting("f" * 16))  # of another grid
    view = look(expansion, tmp_path)
    assert (view.total, view.to_do, view.running, view.lost, view.done) == (8, 3, 3, 0, 1)
    assert view.failed == {"oom": 1}
    assert [(node.name, node.running, node.images_per_second) for node in view.nodes] == [
        ("a", 1, 50.0),
        ("b", 1, 0.0),
        ("unknown", 1, 0.0),
    ]
    assert view.images_per_second == 50
    assert view.spent == {"core-hours": pytest.approx(1.5)}
    # Half done after 900 s: 900 s more; not begun: 3600 - 900; just started: 3600; then three more for three workers.
    assert view.left == {"core-hours": pytest.approx((900 + 2700 + 3600 + 3 * 3600) / 3600)}
    assert view.seconds_left == pytest.approx(3600 + 3600)
    assert view.unknown == 0
    told = json.loads(json.dumps(view.values()))
    assert told["trials"] == {"total": 8, "to_do": 3, "running": 3, "lost": 0, "done": 1, "failed": {"oom": 1}}
    assert told["failures"][0]["error"] == "too large"
    assert {trial["share"] for trial in told["underway"]} == {0.5, 0.0, None}


def test_a_trial_that_is_not_heard_of_is_lost_and_to_do(expansion: Expansion, tmp_path: Path) -> None:
    running, trial = Running(tmp_path), expansion.trials[0]
    running.write(starting(trial.id))
    path, old = running.folder / f"{trial.id}.json", time.time() - 2 * LOST
    os.utime(path, (old, old))
    view = look(expansion, tmp_path)
    assert (view.running, view.lost, view.to_do, view.nodes) == (0, 1, 8, ())


def test_a_watcher_trusts_its_own_clock(expansion: Expansion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    running, trial = Running(tmp_path), expansion.trials[0]
    running.write(starting(trial.id))
    path, future = running.folder / f"{trial.id}.json", time.time() + 86_400
    os.utime(path, (future, future))  # the machine's clock has been set back since
    watcher, now = Watcher("small", expansion, tmp_path), time.monotonic()
    assert watcher.look().running == 1
    monkeypatch.setattr("suite.run.status.time.monotonic", lambda: now + LOST + 10)
    assert watcher.look().lost == 1
    running.write(starting(trial.id))
    assert watcher.look().running == 1


def test_hours_of_gpus_and_cores_are_kept_apart(expansion: Expansion, tmp_path: Path) -> None:
    store, trials = Store(tmp_path), expansion.trials
    gpu = ENVIRONMENT.model_copy(update={"device": "NVIDIA H100", "precision": "bf16", "threads": 8})
    for index, trial in enumerate(trials):
        store.put(make_record(trial, train_seconds=3600.0, environment=gpu if index % 2 else ENVIRONMENT))
    view = look(expansion, tmp_path)
    assert view.complete
    assert view.spent == {"core-hours": 4.0, "GPU-hours": 4.0}
    assert view.left == {}

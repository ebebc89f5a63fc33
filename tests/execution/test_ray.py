"""Ray as the scheduler, for real: on a cluster of this machine that a fixture starts once."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from suite.errors import InputError
from suite.execution.events import Job, Run
from suite.execution.serial import run_serial
from suite.execution.worker import Worker
from suite.grid import load_grid
from suite.heartbeat import Beat
from suite.machine import Machine
from suite.record import VOLATILE, RunRecord
from suite.store import Store
from suite.trial import Trial
from tests.records import EachOf, make_record

pytestmark = [
    pytest.mark.ray,
    pytest.mark.filterwarnings("default"),  # Ray's own: unclosed sockets and deprecations
]

Write = Callable[..., Path]


class Listener:
    def __init__(self) -> None:
        self.starts: list[str] = []
        self.beats: list[Beat] = []
        self.records: dict[str, RunRecord] = {}

    def started(self, trial: Trial) -> None:
        self.starts.append(trial.id)

    def progressed(self, beat: Beat) -> None:
        self.beats.append(beat)

    def finished(self, record: RunRecord) -> None:
        assert record.trial_id not in self.records
        self.records[record.trial_id] = record


@dataclass(frozen=True)
class Mortal:
    """Kills its own worker at some trials, as many times as `deaths` says; the others take no time."""

    folder: Path
    deaths: dict[str, int]

    def __call__(self, trial: Trial) -> RunRecord:
        tombs = self.folder / trial.id
        died = len(tombs.read_text()) if tombs.exists() else 0
        if died < self.deaths.get(trial.id, 0):
            tombs.write_text("x" * (died + 1))
            os.kill(os.getpid(), signal.SIGKILL)
        return make_record(trial)


@dataclass(frozen=True)
class Unprepared:
    """Meets bad input at one seed."""

    seed: int

    def __call__(self, trial: Trial) -> RunRecord:
        if trial.seed_index == self.seed:
            raise InputError("no data", expected="data", found="none", where="here", fix="prepare them")
        return make_record(trial)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 2, "include_dashboard": False, "object_store_memory": 80 * 2**20},
    )
    yield str(cluster.address)
    cluster.shutdown()


def alone(trials: list[Trial]) -> list[Job]:
    return [(trial,) for trial in trials]


def run(trials: list[Trial], function: Run, address: str, cpus: float = 1) -> Listener:
    from suite.execution.ray import Resources, run_ray

    listener = Listener()
    run_ray(alone(trials), function, listener, resources=Resources(cpus=cpus), address=address)
    return listener


@pytest.fixture
def trials(write_grid: Write) -> list[Trial]:
    return list(load_grid(write_grid()).expand().trials)


def test_the_records_are_those_of_the_serial_executor(
    trials: list[Trial], address: str, data_folder: Path, tmp_path: Path
) -> None:
    results = tmp_path / "results"
    results.mkdir()
    worker = Worker(Machine(data_folder, "cpu"), results, keep_weights=True)
    by_ray, serially = run(trials, worker, address), Listener()
    assert Store(results).records() == by_ray.records  # stored by the workers, before the driver heard of them
    assert all(Store(results).weights(trial.id).is_file() for trial in trials)
    run_serial(alone(trials), Worker(Machine(data_folder, "cpu"), tmp_path / "elsewhere"), serially)
    assert not (tmp_path / "elsewhere").exists()
    assert by_ray.records.keys() == serially.records.keys() == {trial.id for trial in trials}
    for identity, record in by_ray.records.items():
        one, other = (run.model_dump(exclude={*VOLATILE, "history"}) for run in (record, serially.records[identity]))
        assert one == other
        assert record.status == "done"
        accuracies = [[epoch.top1 for epoch in run.history or ()] for run in (record, serially.records[identity])]
        assert accuracies[0] == accuracies[1]


def test_a_trial_whose_worker_dies_is_run_again_and_given_up_at_last(
    trials: list[Trial], address: str, tmp_path: Path
) -> None:
    from suite.execution.ray import RETRIES

    once, always = trials[0].id, trials[1].id
    heard = run(trials, EachOf(Mortal(tmp_path, {once: 1, always: 99})), address)
    assert {identity: record.status for identity, record in heard.records.items()} == {
        trial.id: "error" if trial.id == always else "done" for trial in trials
    }
    assert heard.starts.count(once) == 2
    assert heard.starts.count(always) == RETRIES + 1 == len((tmp_path / always).read_text())
    assert "died" in (heard.records[always].error or "").lower()
    assert heard.records[always].top1 is None


def test_bad_input_in_a_worker_is_raised_and_the_other_trials_are_kept(trials: list[Trial], address: str) -> None:
    from suite.execution.ray import Resources, run_ray

    listener = Listener()
    with pytest.raises(InputError, match="prepare them") as caught:
        run_ray(alone(trials), EachOf(Unprepared(1)), listener, resources=Resources(), address=address)
    assert len(caught.value.problems) == 1
    assert {trial.seed_index for trial in trials if trial.id in listener.records} == {0}


def test_a_listener_that_fails_ends_the_run_with_its_own_error(trials: list[Trial], address: str) -> None:
    from suite.execution.ray import Resources, run_ray

    class Full(Listener):
        def finished(self, record: RunRecord) -> None:
            raise InputError("the disk is full")

    with pytest.raises(InputError, match="the disk is full"):
        run_ray(alone(trials), EachOf(make_record), Full(), resources=Resources(), address=address)


@pytest.mark.parametrize("cpus", [3, 1000])
def test_what_no_node_can_run_is_refused_at_once(trials: list[Trial], address: str, cpus: float) -> None:
    with pytest.raises(InputError, match=f"a node with {cpus} CPUs"):
        run(trials, EachOf(make_record), address, cpus)


def test_an_address_without_a_cluster(trials: list[Trial]) -> None:
    with pytest.raises(InputError, match="no Ray cluster at that address"):
        run(trials, EachOf(make_record), "127.0.0.1:1")


def test_workers_use_the_environment_of_the_driver() -> None:
    """Ray looks for `uv run` above the driver, ships the whole folder to its workers, and installs it there anew."""
    from ray._private import ray_constants

    assert ray_constants.RAY_ENABLE_UV_RUN_RUNTIME_ENV is False


def test_a_tune_callback_is_pickled_empty() -> None:
    from suite.execution.ray import _Callback

    assert _Callback({}, Listener()).__getstate__() == {}

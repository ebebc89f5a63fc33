"""Ray as the scheduler, for real: on a cluster of this machine that a fixture starts once."""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from suite.errors import InputError
from suite.grid.trial import Trial
from suite.run.queue import Queue
from suite.run.serial import run_serial
from suite.run.worker import Worker
from suite.store.environment import node_name
from suite.store.folder import Store
from suite.store.record import VOLATILE, RunRecord
from suite.train.machine import Machine
from tests.records import EachOf, Heard, lasting, make_record
from tests.run.ray.cluster import alone, run, start_cluster

pytestmark = [
    pytest.mark.ray,
    pytest.mark.filterwarnings("default"),  # Ray's own: unclosed sockets and deprecations
]

Write = Callable[..., Path]


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


def test_the_records_are_those_of_the_serial_executor(
    trials: list[Trial], address: str, data_folder: Path, tmp_path: Path
) -> None:
    results = tmp_path / "results"
    results.mkdir()
    worker = Worker(Machine(data_folder, "cpu"), results, keep_weights=True)
    by_ray, serially = run(trials, worker, address), Heard()
    assert Store(results).records() == by_ray.records  # stored by the workers, before the driver heard of them
    assert all(Store(results).weights(trial.id).is_file() for trial in trials)
    run_serial(Queue(alone(trials), serially), Worker(Machine(data_folder, "cpu"), tmp_path / "elsewhere"))
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
    once, always = trials[0].id, trials[1].id
    heard = run(trials, EachOf(Mortal(tmp_path, {once: 1, always: 99})), address, retries=2)
    assert {identity: record.status for identity, record in heard.records.items()} == {
        trial.id: "error" if trial.id == always else "done" for trial in trials
    }
    assert heard.starts.count(once) == 2
    assert heard.starts.count(always) == 3 == len((tmp_path / always).read_text())
    assert sorted((identity, seconds > 0) for identity, _, seconds in heard.delays) == sorted(
        [(once, True), (always, True), (always, True)]
    )
    given_up = heard.records[always]
    assert "died" in (given_up.error or "").lower()
    assert (given_up.top1, given_up.machine_fault, given_up.attempts) == (None, True, 3)
    assert heard.records[once].attempts == 2
    assert given_up.node == node_name()
    assert not re.search(r"\d+\.\d+\.\d+\.\d+", given_up.error or "")  # Ray tells addresses, records don't


@dataclass(frozen=True)
class Failing:
    """Some trials end otherwise than well; the others take no time."""

    folder: Path
    ends: dict[str, str]

    def __call__(self, trial: Trial) -> RunRecord:
        with (self.folder / "starts").open("a") as file:
            file.write(f"{trial.id}\n")
        end = self.ends.get(trial.id)
        if end == "disk":
            raise OSError(5, "Input/output error")
        if end == "bug":
            raise ZeroDivisionError("a bug of the worker's")
        if end == "hangs":
            time.sleep(600)
        return make_record(trial, status=end or "done")


def test_only_errors_of_the_machine_are_tried_again(trials: list[Trial], address: str, tmp_path: Path) -> None:
    ends = dict(zip((trial.id for trial in trials), ("disk", "bug", "diverged"), strict=False))
    heard = run(trials, EachOf(Failing(tmp_path, ends)), address, retries=1)
    starts = (tmp_path / "starts").read_text().split()
    assert [starts.count(trial.id) for trial in trials] == [2, 1, 1, 1]
    disk, bug, diverged, good = (heard.records[trial.id] for trial in trials)
    assert (disk.status, disk.machine_fault, disk.attempts) == ("error", True, 2)
    assert "Input/output error" in (disk.error or "")
    assert (bug.status, bug.machine_fault, bug.attempts) == ("error", False, 1)
    assert "a bug of the worker's" in (bug.error or "")
    assert (diverged.status, diverged.attempts, good.status) == ("diverged", 1, "done")


@pytest.mark.slow
def test_a_worker_that_hangs_is_killed_long_after_the_time_limit(
    trials: list[Trial], address: str, tmp_path: Path
) -> None:
    hangs = Failing(tmp_path, {trials[1].id: "hangs"})
    heard = run(trials, EachOf(hangs), address, time_limit=0.5, overtime=20.0)
    assert {identity: record.status for identity, record in heard.records.items()} == {
        trial.id: "timeout" if trial.id == trials[1].id else "done" for trial in trials
    }
    assert heard.starts.count(trials[1].id) == 1
    assert "killed" in (heard.records[trials[1].id].error or "")


def test_bad_input_in_a_worker_is_raised_and_the_other_trials_are_kept(trials: list[Trial], address: str) -> None:
    from suite.run.ray.tune import Resources, run_ray

    listener = Heard()
    with pytest.raises(InputError, match="prepare them") as caught:
        run_ray(Queue(alone(trials), listener), EachOf(Unprepared(1)), resources=Resources(gpus=0), address=address)
    assert len(caught.value.problems) == 1
    assert {trial.seed_index for trial in trials if trial.id in listener.records} == {0}


def test_a_listener_that_fails_ends_the_run_with_its_own_error(trials: list[Trial], address: str) -> None:
    from suite.run.ray.tune import Resources, run_ray

    class Full(Heard):
        def finished(self, record: RunRecord) -> None:
            raise InputError("the disk is full")

    with pytest.raises(InputError, match="the disk is full"):
        run_ray(Queue(alone(trials), Full()), EachOf(make_record), resources=Resources(gpus=0), address=address)


@pytest.mark.parametrize("cpus", [3, 1000])
def test_what_no_node_can_run_is_refused_at_once(trials: list[Trial], address: str, cpus: float) -> None:
    with pytest.raises(InputError, match=f"a node with {cpus} CPUs"):
        run(trials, EachOf(make_record), address, cpus)


def test_an_address_without_a_cluster(trials: list[Trial]) -> None:
    with pytest.raises(InputError, match="no Ray cluster at that address"):
        run(trials, EachOf(make_record), "127.0.0.1:1")


@dataclass(frozen=True)
class Seeing:
    """Writes down which GPUs a trial sees."""

    folder: Path

    def __call__(self, trial: Trial) -> RunRecord:
        (self.folder / trial.id).write_text(os.environ["CUDA_VISIBLE_DEVICES"])
        return make_record(trial)


@pytest.mark.parametrize(("gpus", "seen"), [(0, {""}), (0.5, {"0", "1"}), (2, {"0,1", "1,0"})])
def test_a_trial_sees_its_own_gpus_alone(
    trials: list[Trial], address: str, tmp_path: Path, gpus: float, seen: set[str]
) -> None:
    records = run(trials, EachOf(Seeing(tmp_path)), address, gpus=gpus).records
    assert [record.error for record in records.values()] == [None] * len(trials)
    found = {(tmp_path / trial.id).read_text() for trial in trials}
    assert found <= seen
    assert found


def test_more_gpus_than_any_node_has_are_refused_at_once(trials: list[Trial], address: str) -> None:
    with pytest.raises(InputError, match=r"a node with 1 CPU and 3 GPUs[\s\S]*2 CPUs, 2 GPUs"):
        run(trials, EachOf(make_record), address, gpus=3)


def no_data() -> None:
    raise InputError("data set 'digits' is not prepared", where="/data/digits", fix="run: lape data prepare digits")


def test_data_that_a_node_lacks_are_told_with_its_name_before_any_trial(trials: list[Trial], address: str) -> None:
    from suite.run.ray.tune import Resources, run_ray

    listener = Heard()
    with pytest.raises(InputError, match=rf"is not prepared[\s\S]*/data/digits on node {node_name()}"):
        run_ray(
            Queue(alone(trials), listener),
            EachOf(make_record),
            resources=Resources(gpus=0),
            address=address,
            check=no_data,
        )
    assert not listener.starts


def test_a_cluster_of_another_version(trials: list[Trial], address: str) -> None:
    """The cluster says that it is older than it is."""
    import json

    from ray._common.usage.usage_constants import CLUSTER_METADATA_KEY
    from ray._raylet import GcsClient

    client = GcsClient(address=address)
    metadata = client.internal_kv_get(CLUSTER_METADATA_KEY, namespace=b"cluster")
    other = json.dumps({**json.loads(metadata), "ray_version": "2.9.3", "python_version": "3.10.1"}).encode()
    client.internal_kv_put(CLUSTER_METADATA_KEY, other, overwrite=True, namespace=b"cluster")
    try:
        with pytest.raises(InputError, match=r"another version[\s\S]*found: +Ray 2\.9\.3 and Python 3\.10\.1"):
            run(trials, EachOf(make_record), address)
    finally:
        client.internal_kv_put(CLUSTER_METADATA_KEY, metadata, overwrite=True, namespace=b"cluster")


def test_a_port_where_something_else_listens(trials: list[Trial], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("suite.run.ray.cluster.PATIENCE", 3.0)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        with pytest.raises(InputError, match=r"no Ray cluster at that address[\s\S]*doesn't answer as Ray does"):
            run(trials, EachOf(make_record), f"127.0.0.1:{listening.getsockname()[1]}")


def test_versions_are_compared_as_ray_compares_them(monkeypatch: pytest.MonkeyPatch) -> None:
    import platform

    import ray

    from suite.run.ray.cluster import check_versions

    here = platform.python_version()
    check_versions(ray.__version__, here)
    major, minor, _ = here.split(".")
    for other in (("2.0.0", here), (ray.__version__, f"{major}.{minor}.99")):
        with pytest.raises(InputError, match="another version"):
            check_versions(*other)
    monkeypatch.setenv("RAY_DEFAULT_PYTHON_VERSION_MATCH_LEVEL", "minor")
    check_versions(ray.__version__, f"{major}.{minor}.99")


def test_workers_use_the_environment_of_the_driver() -> None:
    """Ray looks for `uv run` above the driver, ships the whole folder to its workers, and installs it there anew."""
    from ray._private import ray_constants

    assert ray_constants.RAY_ENABLE_UV_RUN_RUNTIME_ENV is False


def test_a_tune_callback_is_pickled_empty() -> None:
    from suite.run.ray.tune import _Callback, _Source

    source = _Source(Queue([], Heard()), 1)
    assert source.__getstate__() == _Callback(source).__getstate__() == {}


@pytest.mark.slow
def test_a_trial_by_several_processes_gets_what_all_of_them_need(
    trials: list[Trial], data_folder: Path, tmp_path: Path
) -> None:
    """Two CPUs and two GPUs, which don't exist, so that it trains by gloo: to the record of a serial run."""
    from suite.run.ray.tune import Resources, run_ray

    worker = Worker(Machine(data_folder, "cpu", processes=2), tmp_path)
    cluster = start_cluster()
    by_ray, serially = Heard(), Heard()
    try:
        run_ray(Queue(alone(trials[:2]), by_ray), worker, resources=Resources(2, 2), address=str(cluster.address))
    finally:
        cluster.shutdown()
    run_serial(Queue(alone(trials[:2]), serially), Worker(worker.machine, tmp_path / "elsewhere"))
    assert by_ray.records.keys() == serially.records.keys() == {trial.id for trial in trials[:2]}
    for identity, record in by_ray.records.items():
        assert record.status == "done", record.error
        assert record.environment.processes == 2
        assert lasting(record) == lasting(serially.records[identity])

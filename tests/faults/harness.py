"""A grid on a Ray cluster of several nodes, something that breaks, and what is held against the unbroken run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from suite.store.folder import RUNS, SNAPSHOTS, SPOOL, Store
from suite.store.record import RunRecord
from tests.processes import Process, wait_until
from tests.records import lasting

NAME = "small"  # of the grid
OPTIONS = ("--snapshot-minutes", "0", "--device", "cpu")
STEPS = 128  # of an epoch of the grid
PATIENCE = 300.0  # seconds to wait for what must happen


class Nodes:
    """A Ray cluster on this machine: a head without CPUs, where drivers connect, and nodes with one CPU each."""

    def __init__(self, workers: int = 2) -> None:
        from ray.cluster_utils import Cluster

        small = {"include_dashboard": False, "include_log_monitor": False, "object_store_memory": 80 * 2**20}
        self._cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **small})
        self._workers: list[Any] = []
        for _ in range(workers):
            self.gain()
        self.address = str(self._cluster.address)

    def gain(self) -> None:
        """One node more."""
        self._workers.append(self._cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20))

    def trainers(self, node: int | None = None) -> list[psutil.Process]:
        """The processes that train, of one node or of all."""
        nodes = self._workers if node is None else [self._workers[node]]
        found = []
        for raylet in (psutil.Process(node.all_processes["raylet"][0].process.pid) for node in nodes):
            found += [child for child in raylet.children(recursive=True) if _is_trainer(child)]
        return found

    def lose(self, node: int) -> None:
        """A worker node is gone, with all that ran there."""
        for trainer in self.trainers(node):  # Ray's own would live on for some seconds, and write another snapshot
            kill(trainer)
        self._cluster.remove_node(self._workers.pop(node), allow_graceful=False)

    def lose_head(self) -> None:
        """The head is gone; nobody holds the nodes together any more."""
        self._cluster.remove_node(self._cluster.head_node, allow_graceful=False)

    def end(self) -> None:
        """Stop all of it."""
        self._cluster.shutdown()


def _is_trainer(process: psutil.Process) -> bool:
    """An actor of Tune's that has been given work, not one of Ray's idle workers."""
    try:
        return "ImplicitFunc" in "".join(process.cmdline())
    except psutil.Error:
        return False


@dataclass(frozen=True)
class Recovery:
    """How long it took until all that was interrupted was trained further; how many went on where they had been."""

    seconds: float
    went_on: int


@dataclass
class Run:
    """Runs of one grid into one results folder, by the command line."""

    process: Process
    grid: Path
    address: str
    results: str = "broken"
    options: tuple[str, ...] = ("--snapshot-minutes", "0", "--device", "cpu", "--retry-wait", "0.5")

    @property
    def store(self) -> Store:
        """Its records."""
        return Store(self.process.folder / self.results / NAME)

    def start(self, *options: str) -> subprocess.Popen[str]:
        """`lape run`."""
        return self.process.start(
            "run", self.grid, "--address", self.address, *self.options, *options, results=self.results
        )

    def finish(self, driver: subprocess.Popen[str]) -> str:
        """Its output; it must have completed the grid."""
        code, out = self.process.end(driver)
        assert code == 0, out
        assert "Traceback" not in out, out
        return out

    def snapshots(self) -> set[str]:
        """The names of the snapshots that there are: each begins with its trial, and is never used again."""
        return {path.name for path in (self.store.folder / SNAPSHOTS).glob("[!.]*")}

    def read(self, snapshot: str) -> bytes:
        """The bytes of a snapshot. Raises FileNotFoundError: it was one too many meanwhile."""
        return (self.store.folder / SNAPSHOTS / snapshot).read_bytes()

    def stored(self) -> int:
        """Records in the spool and in runs.jsonl."""
        return self.process.stored(self.results)

    def wait(self, driver: subprocess.Popen[str], what: str, found: Callable[[], Any]) -> float:
        """Wait until something is found, while the driver runs; the seconds it took. what: for the message."""
        began = time.monotonic()
        wait_until(what, found, driver, patience=PATIENCE, pause=0.02)
        return time.monotonic() - began

    def positions(self) -> dict[str, int]:
        """How many steps each training had taken at its last snapshot, by trial."""
        found: dict[str, int] = {}
        for name in self.snapshots():
            try:
                content = self.read(name)
                begin = 8 + int.from_bytes(content[:8], "little")
                header = json.loads(content[8:begin])
            except (OSError, ValueError):  # it has been replaced meanwhile, or is damaged
                continue
            if len(content) < begin + max(part.get("data_offsets", [0, 0])[1] for part in header.values()):
                continue  # torn
            facts = json.loads(header["__metadata__"]["lape_snapshot"])["facts"]
            steps = facts["epoch"] * STEPS + header["losses"]["shape"][0]
            found[name[:16]] = max(steps, found.get(name[:16], 0))
        return found

    def under_way(self) -> dict[str, int]:
        """The positions of those that have no record: a snapshot stays until its training's record is kept."""
        positions = self.positions()
        recorded = self.recorded()  # after it: what is being recorded now counts as ended
        return {name: steps for name, steps in positions.items() if name not in recorded}

    def wait_until_training(self, driver: subprocess.Popen[str], trials: int = 2) -> dict[str, int]:
        """Until so many trainings are under way and past their first epoch; how many steps they took."""
        what = f"{trials} training runs that are past their first epoch"
        self.wait(driver, what, lambda: sum(steps >= STEPS for steps in self.under_way().values()) >= trials)
        return self.under_way()

    def wait_until_going_on(self, driver: subprocess.Popen[str], interrupted: dict[str, int]) -> Recovery:
        """Until all these trials have written a new snapshot or a record, and from where they went on."""
        before = self.snapshots()
        there: dict[str, int] = {}

        def gone_on() -> bool:
            fresh = {name[:16] for name in self.snapshots() - before}
            positions = self.positions()
            for trial_id in fresh & interrupted.keys() - there.keys() & positions.keys():
                there[trial_id] = positions[trial_id]
            return interrupted.keys() <= there.keys() | self.recorded()

        seconds = self.wait(driver, f"a new snapshot or a record of each of {sorted(interrupted)}", gone_on)
        return Recovery(seconds, sum(there.get(name, steps) >= steps for name, steps in interrupted.items()))

    def recorded(self) -> set[str]:
        """The trials that have a record."""
        spooled = {path.stem for path in (self.store.folder / SPOOL).glob("[!.]*.json")}
        runs = self.store.folder / RUNS
        lines = runs.read_text().splitlines() if runs.exists() else []
        return spooled | {json.loads(line)["trial_id"] for line in lines}


def kill(process: psutil.Process | subprocess.Popen[str]) -> None:
    """As the kernel does it when memory is out."""
    os.kill(process.pid, signal.SIGKILL)


def compare(found: Store, unbroken: Store) -> int:
    """Assert that nothing is lost, doubled or different but times; how many trials there are."""
    ids = [json.loads(line)["trial_id"] for line in (found.folder / RUNS).read_text().splitlines()]
    assert sorted(ids) == sorted(unbroken.records()), "a trial is lost, or there twice"
    assert not list((found.folder / SPOOL).glob("*.json"))
    with_history = [_with_history(store) for store in (found, unbroken)]
    for trial_id in ids:
        assert with_history[0][trial_id] == with_history[1][trial_id], trial_id
    assert not list((found.folder / SNAPSHOTS).glob("[!.]*")), "snapshots of finished trainings"
    return len(ids)


def _with_history(store: Store) -> dict[str, tuple[dict[str, Any], Any]]:
    from suite.store.frames import load_history

    history = load_history(store.folder).drop(columns="seconds")
    curves = {
        trial_id: curve.drop(columns="trial_id").to_dict("records") for trial_id, curve in history.groupby("trial_id")
    }
    return {trial_id: (_comparable(record), curves[trial_id]) for trial_id, record in store.records().items()}


def _comparable(record: RunRecord) -> dict[str, Any]:
    assert record.status == "done", record.error
    return lasting(record)

"""Method files on the nodes of a Ray cluster, for real."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from suite.grid.grid import load_grid
from suite.grid.methods import MethodFile, load_methods, unload
from suite.grid.trial import Trial
from suite.run.events import Job
from suite.run.worker import Worker
from suite.store.record import RunRecord
from suite.train.machine import Machine
from tests.run.ray.cluster import run

pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("default")]

JOIN = '''from suite.methods import Terms, join


@join()
def halved(tables, maps):
    """Half of the position before every block."""
    return Terms(stream=[tables[0] / 2] * len(maps))
'''


@dataclass(frozen=True)
class Telling:
    """A worker that says on which node it was."""

    worker: Worker
    folder: Path

    def __call__(self, job: Job) -> list[RunRecord]:
        import ray

        (self.folder / ray.get_runtime_context().get_node_id()).touch()
        return self.worker(job)


@pytest.fixture
def two_nodes() -> Iterator[str]:
    """The address of a cluster of two nodes, each of which has room for one trial."""
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    cluster.add_node(**node)
    yield str(cluster.address)
    cluster.shutdown()


@pytest.fixture
def method(tmp_path: Path) -> Iterator[MethodFile]:
    """A loaded method file that is on no disk any more."""
    path = tmp_path / "my_trick.py"
    path.write_text(JOIN)
    files = load_methods([path])
    path.unlink()
    yield files[0]
    unload(files)


def test_the_file_travels_to_two_nodes(
    two_nodes: str, method: MethodFile, write_grid: Callable[..., Path], data_folder: Path, tmp_path: Path
) -> None:
    grid = write_grid(("join: [default, lape]", "join: [halved]"), ("seeds: [0, 1]", "seeds: [0, 1, 2, 3]"))
    trials: list[Trial] = list(load_grid(grid).expand().trials)
    nodes, results = tmp_path / "nodes", tmp_path / "results"
    nodes.mkdir()
    results.mkdir()
    worker = Worker(Machine(data_folder, "cpu"), results, methods=(method,))
    records = run(trials, Telling(worker, nodes), two_nodes).records
    assert {record.status for record in records.values()} == {"done"}
    assert {name: record.code for name, record in records.items()} == {trial.id: trial.code for trial in trials}
    assert len(list(nodes.iterdir())) == 2

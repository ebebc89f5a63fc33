"""The grid that faults are tried on, its unbroken run, and a cluster for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from suite.store.folder import Store
from tests.conftest import GRID
from tests.faults.evidence import Tell, teller
from tests.faults.harness import NAME, Nodes, Run
from tests.processes import Process

# Some seconds of training each, of many steps: enough to break something in the middle.
LONG = (
    ("epochs: 2, batch_size: 64", "epochs: 6, batch_size: 8"),
    ("train_images: 128", "train_images: 1024, ema_decay: 0.9, auto_augment: rand-m9-mstd0.5-inc1, flip: true"),
)


@pytest.fixture(scope="session")
def fault_grid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four trials that take some seconds each."""
    text = GRID
    for old, new in LONG:
        assert old in text
        text = text.replace(old, new)
    path = tmp_path_factory.mktemp("faults") / f"{NAME}.yaml"
    path.write_text(text)
    return path


@pytest.fixture(scope="session")
def unbroken(fault_grid: Path, data_folder: Path) -> Store:
    """What the grid gives if nothing breaks, without Ray."""
    process = Process(fault_grid.parent, data_folder)
    code, out = process.end(
        process.start("run", fault_grid, "--executor", "serial", "--device", "cpu", results="unbroken")
    )
    assert code == 0, out
    return Store(fault_grid.parent / "unbroken" / NAME)


@pytest.fixture(scope="session")
def nodes() -> Iterator[Nodes]:
    """A head and two nodes with a CPU each, which tests leave as they found them."""
    cluster = Nodes()
    yield cluster
    cluster.end()


@pytest.fixture
def run(tmp_path: Path, data_folder: Path, fault_grid: Path, nodes: Nodes) -> Run:
    """Runs of the grid on the cluster, into a folder of their own."""
    return Run(Process(tmp_path, data_folder), fault_grid, nodes.address)


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Tell:
    """Takes the row of the test."""
    return teller(request.node.nodeid)

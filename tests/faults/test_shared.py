"""An S3 server that answers with errors, hangs and drops: trainings go on, and so they do after a kill."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from suite.store.folder import Store
from tests.faults.evidence import Row, Tell
from tests.faults.harness import NAME, OPTIONS, Nodes, Run, compare, kill
from tests.processes import Process
from tests.s3 import BUCKET, Server, s3_server

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("default"),  # Ray's own: unclosed sockets and deprecations
]
FAULTS = ("500", "503", "hang", "drop")
SECONDS = 6.0  # of each


@dataclass
class SharedRun(Run):
    """Keeps its snapshots, and records on their way, at an S3 server."""

    server: Server | None = None

    def snapshots(self) -> set[str]:
        return {key.rpartition("/")[2] for key in self.keys("snapshots")}

    def read(self, snapshot: str) -> bytes:
        assert self.server is not None
        return self.server("GET", f"/{BUCKET}/grids/{NAME}/snapshots/{snapshot}")

    def keys(self, kind: str = "") -> list[str]:
        assert self.server is not None
        keys = self.server.keys()
        return [key for key in keys if key.startswith(f"grids/{NAME}/{kind}")]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with s3_server() as started:
        for name, value in started.environment.items():
            monkeypatch.setenv(name, value)  # for the nodes, which are started next, and for drivers
        yield started


def test_s3_answers_with_errors_and_timeouts(
    server: Server, tmp_path: Path, data_folder: Path, fault_grid: Path, unbroken: Store, tell: Tell
) -> None:
    nodes = Nodes()
    try:
        options = (*OPTIONS, "--storage", f"s3://{BUCKET}/grids")
        run = SharedRun(Process(tmp_path, data_folder), fault_grid, nodes.address, options=options, server=server)
        driver = run.start()
        run.wait_until_training(driver)
        before, kept = len(server.requests), run.stored()
        for fault in FAULTS:
            server.fault = fault
            time.sleep(SECONDS)
        assert len(server.requests) - before >= len(FAULTS), "nobody asked meanwhile"
        server.fault = ""
        interrupted = run.positions()
        kill(nodes.trainers(0)[0])
        recovery = run.wait_until_going_on(driver, interrupted)
        assert recovery.went_on == len(interrupted) > 0
        run.finish(driver)
    finally:
        nodes.end()
    trials = compare(run.store, unbroken)
    assert run.keys() == [], "what has come home is removed there"
    tell(
        Row(
            "S3 answers with 500 and 503, hangs and drops connections, six seconds each; then a worker is killed",
            "requests are repeated with ever longer pauses; a training waits for none of them longer than 20 s",
            trials,
            kept,
            recovery.went_on,
            recovery.seconds,
        )
    )

"""`ray job submit`, as the documentation has it, on a cluster that `ray start` made with token authentication."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.slow]

Write = Callable[..., Path]
BIN = Path(sys.executable).parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Head:
    address: str
    dashboard: str
    environment: dict[str, str]

    def job(self, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        """`ray job …` with the environment of somebody who has the token."""
        command = [str(BIN / "ray"), "job", arguments[0], "--address", self.dashboard, *arguments[1:]]
        return subprocess.run(
            command, env={**self.environment, **changes}, capture_output=True, text=True, timeout=240, check=False
        )


@pytest.fixture
def head(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, data_folder: Path) -> Iterator[Head]:
    port, dashboard = free_port(), free_port()
    session = tmp_path_factory.mktemp("ray")
    environment = {
        **os.environ,
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": "a-token-of-at-least-thirty-two-characters",
        "LAPE_DATA": str(data_folder),
    }
    environment.pop("RAY_ADDRESS", None)
    command = [
        str(BIN / "ray"), "start", "--head", "--port", str(port), "--dashboard-port", str(dashboard), "--num-cpus", "1",
        "--node-ip-address", "127.0.0.1", "--temp-dir", str(session), "--object-store-memory", str(80 * 2**20),
        "--disable-usage-stats", "--ray-client-server-port", str(free_port()), "--block",
    ]  # fmt: skip
    with (session / "start.log").open("w") as log:
        started = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=subprocess.STDOUT)
    found = Head(f"127.0.0.1:{port}", f"http://127.0.0.1:{dashboard}", environment)
    deadline = time.monotonic() + 300
    while found.job("list").returncode:
        assert started.poll() is None, (session / "start.log").read_text()
        log = (session / "start.log").read_text()
        assert time.monotonic() < deadline, f"waited 300 s for the head to answer, in vain; it printed:\n{log}"
        time.sleep(1)
    yield found
    started.terminate()
    started.wait(60)


def test_a_submitted_job_runs_the_grid_and_only_with_the_token(head: Head, write_grid: Write, tmp_path: Path) -> None:
    results = tmp_path / "results"
    grid = write_grid().name  # in the folder where the head was started
    run = ["lape", "run", grid, "--address", "auto", "--results", str(results), "--device", "cpu"]
    submit = ["submit", "--submission-id", "small", "--", *run, "--reports", str(tmp_path / "reports")]
    refused = head.job(*submit, RAY_AUTH_TOKEN="another-token-of-thirty-two-characters")
    assert refused.returncode != 0
    assert not results.exists()

    job = head.job(*submit)
    assert job.returncode == 0, job.stdout + job.stderr
    assert "4/4 done" in job.stdout
    assert re.search(r"tiny +learnable +default +2", job.stdout)
    runs = [json.loads(line) for line in (results / "small" / "runs.jsonl").read_text().splitlines()]
    assert [run["status"] for run in runs] == ["done"] * 4
    assert head.environment["RAY_AUTH_TOKEN"] not in (results / "small" / "runs.jsonl").read_text() + job.stdout
    assert "4/4 done" in head.job("logs", "small").stdout

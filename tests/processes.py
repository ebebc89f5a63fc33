"""`lape` as a process of its own, that tests can stop, kill and watch."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from suite.store.folder import SNAPSHOTS


class Process:
    """`lape` as a process of its own, whose results can be watched."""

    def __init__(self, folder: Path, data: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "LAPE_DATA": str(data), "OMP_NUM_THREADS": "1"}

    def start(self, *arguments: str | Path, results: str) -> subprocess.Popen[str]:
        command = [
            sys.executable,
            "-m",
            "suite",
            *map(str, arguments),
            "--results",
            results,
            "--reports",
            f"{results}-reports",
        ]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # Tests that run in the background of a shell inherit that SIGINT is ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def stored(self, results: str) -> int:
        folder = self.folder / results / "small"
        runs = folder / "runs.jsonl"
        return len(list(folder.glob("spool/*.json"))) + (len(runs.read_text().splitlines()) if runs.exists() else 0)

    def wait_for_a_record(self, process: subprocess.Popen[str], results: str) -> None:
        deadline = time.monotonic() + 120
        while not self.stored(results) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert process.poll() is None, process.communicate()[0]

    def wait_for_a_snapshot(self, process: subprocess.Popen[str], results: str) -> Path:
        deadline, folder = time.monotonic() + 120, self.folder / results / "small" / SNAPSHOTS
        while not list(folder.glob("[!.]*")) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert process.poll() is None, process.communicate()[0]
        return folder

    def end(self, process: subprocess.Popen[str]) -> tuple[int, str]:
        out, _ = process.communicate(timeout=240)
        return process.returncode, out

"""`lape` as a process of its own, which tests can interrupt, kill and watch."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from suite.store.folder import SNAPSHOTS

T = TypeVar("T")

PATIENCE = 600.0  # seconds; Ray alone takes half a minute to start on a slow machine with other work to do


def wait_until(
    what: str,
    found: Callable[[], T],
    process: subprocess.Popen[str] | None = None,
    *,
    patience: float = PATIENCE,
    pause: float = 0.05,
) -> T:
    """Wait until something has happened; the test fails if it doesn't, with what was waited for.

    Args:
        what: what is waited for, for the message.
        found: is called again and again until its value is true; that value is returned.
        process: the process that is to bring it about. If it ends before, the test fails with its output.
        patience: seconds to wait.
        pause: seconds between two calls.
    """
    began = time.monotonic()
    while not (value := found()):
        if process is not None and process.poll() is not None:
            if value := found():
                return value
            pytest.fail(f"waited for {what}; the process ended with {process.returncode}:\n{process.communicate()[0]}")
        if time.monotonic() - began > patience:
            pytest.fail(f"waited {patience:.0f} s for {what}, in vain; the process printed:\n{_stop(process)}")
        time.sleep(pause)
    return value


def _stop(process: subprocess.Popen[str] | None) -> str:
    """Kill a process; what it has printed."""
    if process is None:
        return "(there is none)"
    process.kill()
    try:
        return process.communicate(timeout=10)[0]
    except subprocess.TimeoutExpired:  # its children hold the pipe
        return "(its output is still open)"


class Process:
    """Starts `lape` processes in a folder, and looks at their results."""

    def __init__(self, folder: Path, data: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "LAPE_DATA": str(data), "OMP_NUM_THREADS": "1"}

    def start(self, *arguments: str | Path, results: str) -> subprocess.Popen[str]:
        """Start `lape` with these arguments, and with a results folder of this name."""
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
        """How many records a results folder has."""
        folder = self.folder / results / "small"
        runs = folder / "runs.jsonl"
        return len(list(folder.glob("spool/*.json"))) + (len(runs.read_text().splitlines()) if runs.exists() else 0)

    def wait_for_a_record(self, process: subprocess.Popen[str], results: str) -> None:
        """Wait until a results folder has a record, while the process is still at work."""
        wait_until(f"a record in {results}", lambda: self.stored(results), process)
        assert process.poll() is None, f"it ended before it could be stopped:\n{process.communicate()[0]}"

    def wait_for_a_snapshot(self, process: subprocess.Popen[str], results: str) -> Path:
        """Wait until a results folder has a snapshot, while the process is still at work; the snapshots' folder."""
        folder = self.folder / results / "small" / SNAPSHOTS
        wait_until(f"a snapshot in {results}", lambda: list(folder.glob("[!.]*")), process, pause=0.01)
        assert process.poll() is None, f"it ended before it could be stopped:\n{process.communicate()[0]}"
        return folder

    def end(self, process: subprocess.Popen[str]) -> tuple[int, str]:
        """Wait until a process ends: its exit code and what it printed."""
        try:
            out, _ = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            pytest.fail(f"waited {PATIENCE:.0f} s for the process to end, in vain; it printed:\n{_stop(process)}")
        return process.returncode, out

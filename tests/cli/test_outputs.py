"""What stands behind the standard output: real files and pipes, so a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def lape(finished: Path, command: str, stdout: Any, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "suite", command, str(finished)],
        cwd=finished.parent,
        env={**os.environ, **environment},
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("command", ["plan", "tables"])
def test_an_encoding_without_our_signs(finished: Path, command: str) -> None:
    told = lape(finished, command, subprocess.PIPE, PYTHONIOENCODING="ascii")
    assert (told.returncode, told.stderr) == (0, "")
    assert {"plan": "2 cells x 2 seeds", "tables": "82.00 +- 1.41"}[command] in told.stdout


@pytest.mark.parametrize("command", ["tables", "check", pytest.param("plan", marks=pytest.mark.slow)])
def test_an_output_that_is_full(finished: Path, command: str) -> None:
    with Path("/dev/full").open("w") as full:
        told = lape(finished, command, full)
    assert told.returncode == 2
    assert "No space left on device" in told.stderr
    assert "Traceback" not in told.stderr


@pytest.mark.parametrize("command", ["plan", pytest.param("tables", marks=pytest.mark.slow)])
def test_a_reader_that_has_gone(finished: Path, command: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    told = lape(finished, command, writer)
    os.close(writer)
    assert (told.returncode, told.stderr) == (141, "")


def test_the_module_is_the_command() -> None:
    told = subprocess.run([sys.executable, "-m", "suite", "--help"], capture_output=True, text=True, check=True)
    assert "Usage: lape" in told.stdout or "Usage: python -m suite" in told.stdout

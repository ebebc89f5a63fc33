"""An attempt to start Ray that hangs is ended."""

from __future__ import annotations

import subprocess
import sys
import time

from suite.errors import InputError
from suite.run.ray.watchdog import deadline
from tests.conftest import REPOSITORY

HANGS = """
import time
from suite.errors import InputError
from suite.run.ray.watchdog import deadline
told = InputError("Ray doesn't start", expected="answers", found="it hangs", where="here", fix="use another executor")
with deadline(0.1, told, grace=0.1):
    time.sleep(200)
"""
TOLD = InputError("x", expected="x", found="x", where="x", fix="x")


def test_a_body_that_never_ends_exits_with_code_2_and_one_message() -> None:
    done = subprocess.run([sys.executable, "-c", HANGS], capture_output=True, text=True, timeout=100, cwd=REPOSITORY)
    assert done.returncode == 2
    assert done.stderr.startswith("error: Ray doesn't start")
    assert "Traceback" not in done.stderr


def test_a_body_that_ends_in_time_is_left_alone() -> None:
    with deadline(0.05, TOLD, grace=0.05):
        pass
    time.sleep(0.2)  # had the thread gone on, this process would have ended

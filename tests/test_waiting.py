"""What a test that waits in vain says."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from tests.processes import wait_until


def start(program: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)


def test_what_is_found_is_returned() -> None:
    left = [0, 0, 3]
    assert wait_until("the last one", lambda: left.pop(0), pause=0.001) == 3


def test_what_was_waited_for_is_said_with_what_was_printed() -> None:
    process = start("import time; print('at work', flush=True); time.sleep(600)")
    began = time.monotonic()
    ready = wait_until("its first line", lambda: process.stdout and process.stdout.readline())
    assert ready == "at work\n"
    with pytest.raises(pytest.fail.Exception, match="waited 0 s for a record, in vain"):
        wait_until("a record", lambda: False, process, patience=0.1)
    assert process.poll() is not None, "it is killed, so that it doesn't outlive the test"
    assert time.monotonic() - began < 300


def test_a_process_that_has_ended_is_not_waited_for() -> None:
    process = start("print('all I do'); raise SystemExit(3)")
    with pytest.raises(pytest.fail.Exception, match=r"waited for a record; the process ended with 3:\nall I do"):
        wait_until("a record", lambda: False, process)

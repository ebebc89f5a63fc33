"""Threads and processes: order, errors, and that nothing is left running."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from suite.data import parallel
from suite.data.parallel import Background, in_parallel, on_all_cores
from suite.errors import InputError, Problem
from tests.data.tasks import square


def test_threads_keep_the_order_and_pass_errors_on():
    assert list(in_parallel(lambda x: x * x, range(1000), ahead=7)) == [x * x for x in range(1000)]
    with pytest.raises(ZeroDivisionError):
        list(in_parallel(lambda x: 1 // x, [1, 0]))


def test_what_runs_in_the_background_is_waited_for():
    seen = []
    background = Background(seen.append, range(100))
    background.wait()
    assert sorted(seen) == list(range(100))


def test_an_error_in_the_background_gives_up_the_rest():
    seen = []

    def read(item):
        seen.append(item)
        time.sleep(0.01)
        if item == 1:
            raise InputError("an image can't be read", expected="one", found="none", where="here", fix="none")

    background = Background(read, range(1000))
    with pytest.raises(InputError, match="can't be read"):
        background.wait()
    count = len(seen)
    assert count < 500
    time.sleep(0.05)
    assert len(seen) == count


def test_what_is_given_up_has_ended_when_that_returns():
    begun, ended = [], []

    def read(item):
        begun.append(item)
        time.sleep(0.01)
        ended.append(item)

    background = Background(read, range(1000))
    background.cancel()
    assert sorted(begun) == sorted(ended)
    assert len(begun) < 500
    time.sleep(0.05)
    assert sorted(begun) == sorted(ended)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system can't fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_decodes_too():
    assert list(in_parallel(abs, [-1, -2])) == [1, 2]  # starts the threads
    child = os.fork()
    if child == 0:
        os._exit(0 if list(in_parallel(abs, [-3])) == [3] else 1)
    assert os.waitpid(child, 0)[1] == 0


@pytest.fixture
def processes(monkeypatch):
    """Two processes, however few the items and the CPUs."""
    monkeypatch.setattr(parallel, "PROCESSES_FROM", 1)
    monkeypatch.setattr(parallel, "workers", lambda: 2)


def children() -> list[str]:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


def test_processes_keep_the_order(processes):
    before = children()
    results = on_all_cores("tests.data.tasks:square", list(range(300)))
    assert next(results) == (0, b"")
    assert len(children()) == len(before) + 2
    assert list(results) == [square(number) for number in range(1, 300)]
    assert children() == before


def test_threads_give_the_same():
    assert list(on_all_cores("tests.data.tasks:square", [3, 4])) == [square(3), square(4)]


def test_errors_come_out_of_processes(processes):
    before = children()
    with pytest.raises(InputError) as caught:
        list(on_all_cores("tests.data.tasks:fail", [1] * 200))
    assert caught.value.problems == (Problem("what\x1b", "a", "b", "\udcff", "d"),)
    with pytest.raises(RuntimeError, match="ZeroDivisionError: zero"):
        list(on_all_cores("tests.data.tasks:fail", [0]))
    assert children() == before


def test_a_process_that_is_killed_is_told(processes):
    with pytest.raises(InputError, match="signal 9"):
        list(on_all_cores("tests.data.tasks:die", [0]))


def test_what_a_library_prints_is_no_answer(processes, capfd, monkeypatch):
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    assert list(on_all_cores("tests.data.tasks:chatter", [3])) == [(3, b"")]
    assert "no answer" in capfd.readouterr().err


def test_nothing_of_the_current_folder_is_imported(processes, tmp_path, monkeypatch):
    for name in ("json", "numpy", "signal"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported from the current folder')")
    monkeypatch.chdir(tmp_path)
    assert list(on_all_cores("tests.data.tasks:square", [3])) == [square(3)]


def test_a_script_without_a_main_guard_is_not_run_again(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from suite.data import parallel\nprint('runs')\n"
        "parallel.PROCESSES_FROM, parallel.workers = 1, lambda: 2\n"
        "print(list(parallel.on_all_cores('tests.data.tasks:square', [5])))\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["runs", "[(25, b'')]"]

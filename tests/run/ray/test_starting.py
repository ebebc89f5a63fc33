"""A Ray of this process's own: on loopback alone, started twice if need be, and one message if it doesn't start."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from suite.run.ray.starting import _cause
from tests.conftest import GRID, REPOSITORY

PROBE = r"""
import faulthandler
faulthandler.dump_traceback_later(200)
import ipaddress, json, pwd, sys
def unknown(uid):
    raise KeyError(uid)
pwd.getpwuid = unknown
from pathlib import Path
import psutil, ray, threading, time  # Ray before the suite, as in a program of one's own
from suite.run.ray import starting

@ray.remote
def answer():
    return 3

def stop_the_first():
    while not (found := [child for child in psutil.Process().children() if child.name() == "gcs_server"]):
        time.sleep(0.01)
    session = next(part.partition("=")[2] for part in found[0].cmdline() if part.startswith("--session-dir"))
    while not list(Path(session).glob("gcs_server_port_*")):
        time.sleep(0.001)
    found[0].suspend()

starting.SHARED_MEMORY = Path(sys.argv[1])
starting.DEADLINES = (8.0, 200.0)
if sys.argv[2] == "hang":
    threading.Thread(target=stop_the_first, daemon=True).start()
starting.start_ray()
me, found = psutil.Process(), []
for process in [me, *me.children(recursive=True)]:
    for socket in process.net_connections("inet"):
        if socket.status == psutil.CONN_LISTEN:
            address = ipaddress.ip_address(socket.laddr.ip)
            found.append([process.name(), str(getattr(address, "ipv4_mapped", None) or address)])
(node,) = ray.nodes()
print(json.dumps({"listening": found, "node": node["NodeManagerAddress"], "answer": ray.get(answer.remote())}))
ray.shutdown()
"""  # fmt: skip


# Ray gives its workers a low priority; beside other tests they would wait for minutes.
KEPT = {"RAY_worker_niceness": "0"}


def clean_environment(**more: str) -> dict[str, str]:
    return {**{name: value for name, value in os.environ.items() if not name.startswith("RAY_")}, **KEPT, **more}


@pytest.mark.ray
@pytest.mark.parametrize(
    ("first", "told"),
    [
        (
            "error",
            "invalid literal",
        ),  # the number of seconds that Ray reads isn't a number; the second try sets its own
        # Ray's first process starts and never answers. Ray itself would wait for 13 minutes; a deadline of 8 s is set.
        pytest.param("hang", "Failed to start GCS", marks=pytest.mark.slow),
    ],
)
def test_it_starts_at_the_second_try_without_shared_memory_or_home_and_listens_on_loopback_alone(
    tmp_path: Path, first: str, told: str
) -> None:
    """There is no shared memory, and no home folder for Ray's token."""
    environment = clean_environment(**({"RAY_gcs_server_port_wait_time_s": "none"} if first == "error" else {}))
    environment.pop("HOME", None)
    done = subprocess.run(
        [sys.executable, "-c", PROBE, str(tmp_path / "no_shared_memory"), first],
        capture_output=True, text=True, timeout=400, cwd=REPOSITORY, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["answer"] == 3
    assert found["node"] == "127.0.0.1"
    assert len(found["listening"]) >= 5  # the object store's and scheduler's, Ray's directory, its agents, this process
    assert {address for _, address in found["listening"]} == {"127.0.0.1"}, found["listening"]
    assert told in done.stderr, done.stderr
    assert "once more, with longer waits" in done.stderr
    assert "no_shared_memory" in done.stderr


@pytest.mark.ray
def test_one_message_if_it_never_starts(tmp_path: Path, data_folder: Path) -> None:
    """The paths of its sockets are longer than the system allows."""
    (tmp_path / "small.yaml").write_text(GRID)
    far = tmp_path / ("long" * 30)
    far.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "suite", "run", "small.yaml", "--data", str(data_folder)],
        capture_output=True, text=True, cwd=tmp_path, timeout=240, env=clean_environment(RAY_TMPDIR=str(far)),
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "Ray doesn't start on this machine" in done.stderr
    assert "too long for a socket" in done.stderr
    assert "--executor serial" in done.stderr
    assert str(far) in done.stderr  # where its logs are


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.EADDRINUSE, "Address already in use"), "a port is in use"),
        (ValueError("Failed to bind to 127.0.0.1:8265 because it's already occupied."), "a port is in use"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "/dev/shm"), "shared memory, /dev/shm"),
        (OSError(errno.ENOSPC, "No space left on device", "/x"), "the disk of the temporary folder is full"),
        (PermissionError(errno.EACCES, "Permission denied", "/x/ray"), "Permission denied: /x/ray"),
        (Exception("The current node timed out during\n startup."), "didn't answer in time"),
        (RuntimeError("something\n else"), "something else"),
        (RuntimeError(), "RuntimeError"),
    ],
)
def test_the_cause_is_named(error: Exception, told: str) -> None:
    assert told in _cause(error)

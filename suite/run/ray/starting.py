"""Starting a Ray cluster of this process's own: on loopback alone, tried twice, and with one message if it fails."""

from __future__ import annotations

import errno
import logging
import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import ray
from ray._private import ray_constants

from suite.errors import InputError
from suite.run.ray.dashboard import HOST, secure_token, tell_dashboard
from suite.text import note
from suite.train.faults import without_addresses

OBJECT_STORE = 100 * 2**20  # bytes: records are small, and data sets don't travel through Ray
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 -- where Ray keeps its objects

# Ray's own waits, which the second attempt lengthens. A user's setting wins in the first attempt.
_LONGER = {
    "RAY_gcs_server_port_wait_time_s": "180",  # 30 s otherwise
    "RAY_agent_register_timeout_ms": "300000",  # 100 s
    "RAY_worker_register_timeout_seconds": "240",  # 60 s
}
# Ray's switch for "this machine alone": the node's address is 127.0.0.1 then, and everything listens there and nowhere
# else. An argument of `ray.init` doesn't do: it replaces 127.0.0.1 by an address that others can reach.
_CLUSTERS = ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR


def start_ray(dashboard: bool = False) -> None:
    """Start a cluster that ends with this process, and listens on 127.0.0.1 alone.

    A start that fails is tried once more, with longer waits. dashboard: start Ray's dashboard too, and say where it is.

    Raises:
        InputError: Ray doesn't start.
    """
    secure_token(kept=dashboard)
    tried = list[str]()
    for waits in ({}, _LONGER):
        began, before = time.monotonic(), _children()
        try:
            with _set({**waits, _CLUSTERS: "0", "RAY_enable_metrics_collection": "0"}), _loopback():
                context = _init(dashboard)
        except Exception as error:
            tried.append(f"{_cause(error)} (after {time.monotonic() - began:.0f} s)")
            _clear(before)
            if not waits:
                note(f"Ray didn't start: {tried[-1]}; once more, with longer waits")
        else:
            if dashboard:
                tell_dashboard(context.dashboard_url)
            return
    raise InputError(
        "Ray doesn't start on this machine",
        expected="Ray's processes, running and answering",
        found="; then, with longer waits: ".join(dict.fromkeys(tried)),
        where=f"this machine; Ray's own logs are in {_logs()}",
        fix="run with --executor serial, which needs no Ray; or mend the cause, or wait until the machine is less busy",
    )


def _init(dashboard: bool) -> Any:
    # "local": without it Ray joins any cluster that it finds on this machine, be it of somebody else's run.
    options: dict[str, Any] = {"include_dashboard": dashboard, "dashboard_host": HOST}
    if sys.platform == "linux" and not SHARED_MEMORY.is_dir():
        note(f"there is no {SHARED_MEMORY} here; Ray keeps its objects in {tempfile.gettempdir()}")
        options["_plasma_directory"] = tempfile.gettempdir()
    return ray.init(
        address="local",
        object_store_memory=OBJECT_STORE,
        log_to_driver=False,
        logging_level=logging.ERROR,
        **options,
    )


@contextmanager
def _loopback() -> Iterator[None]:
    """Let Ray take 127.0.0.1 for this node's address, in this process too, which may have imported Ray long ago."""
    before, ray_constants.ENABLE_RAY_CLUSTER = ray_constants.ENABLE_RAY_CLUSTER, False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


@contextmanager
def _set(values: dict[str, str]) -> Iterator[None]:
    """Environment variables for as long as Ray starts: what it starts inherits them."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _cause(error: Exception) -> str:
    """Why Ray didn't start, in words."""
    text = re.sub(r"\s+", " ", without_addresses(str(error))).strip() or type(error).__name__
    lowered = text.lower()
    number = error.errno if isinstance(error, OSError) else None
    if str(SHARED_MEMORY) in text or "shared memory" in lowered:
        return f"shared memory, {SHARED_MEMORY}, is missing or too small: {text[:200]}"
    if number == errno.EADDRINUSE or "already occupied" in lowered or "address already in use" in lowered:
        return f"a port is in use: {text[:200]}"
    if "af_unix" in lowered or "path length" in lowered:
        return f"the temporary folder's path is too long for a socket, name a shorter one by RAY_TMPDIR: {text[:200]}"
    if number in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk of the temporary folder is full: {text[:200]}"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.strerror}: {error.filename}"
    if isinstance(error, TimeoutError) or "timed out" in lowered or "timeout" in lowered:
        return f"its processes didn't answer in time, as on a slow or busy machine: {text[:200]}"
    return text[:300]


def _logs() -> str:
    return str(Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()) / "ray" / "session_latest" / "logs")


def _children() -> set[int]:
    """Processes that this one has started, by their id. Empty where the system doesn't say."""
    found = set[int]()
    for path in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):
            found.update(map(int, path.read_text().split()))
    return found


def _clear(before: set[int]) -> None:
    """End what a failed start left behind: it would disturb the next one."""
    with suppress(Exception):  # whatever state Ray is in
        ray.shutdown()
    package = os.path.dirname(ray.__file__).encode()
    for child in _children() - before:
        with suppress(OSError):
            if package in Path(f"/proc/{child}/cmdline").read_bytes():
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)

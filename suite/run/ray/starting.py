"""Start this process's own Ray cluster. It listens only on loopback. A failed start is retried once."""

from __future__ import annotations

import errno
import logging
import os
import re
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
from suite.run.ray.watchdog import children, deadline, end
from suite.text import note
from suite.train.faults import without_addresses

OBJECT_STORE = 100 * 2**20  # bytes: records are small, and data sets aren't sent through Ray
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 -- where Ray keeps its objects

# Ray's timeouts for the second attempt, which are longer than its defaults. The first attempt keeps the user's values.
_LONGER = {
    "RAY_gcs_server_port_wait_time_s": "180",  # default: 30 s
    "RAY_agent_register_timeout_ms": "300000",  # default: 100 s
    "RAY_worker_register_timeout_seconds": "240",  # default: 60 s
}
# Seconds after which an attempt that hangs is ended. They are longer than Ray's own timeouts for each of its processes.
DEADLINES = (150.0, 600.0)
# Set to 0, this makes Ray use only this machine: the node's address is 127.0.0.1, and everything listens only there. An
# argument of `ray.init` can't do that: Ray replaces 127.0.0.1 by an address that other machines can reach.
_CLUSTERS = ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR


def start_ray(dashboard: bool = False) -> None:
    """Start a cluster that ends with this process and listens only on 127.0.0.1.

    A failed start is retried once, with longer timeouts. With `dashboard`, also start Ray's dashboard and print its
    address.

    Raises:
        InputError: Ray doesn't start.
    """
    secure_token(kept=dashboard)
    tried = list[str]()
    for waits, seconds in zip(({}, _LONGER), DEADLINES, strict=True):
        began = time.monotonic()
        told = _does_not_start([*tried, f"it hangs (after {seconds:.0f} s)"])
        try:
            with deadline(seconds, told):
                context = _attempt(waits, dashboard)
        except Exception as error:
            tried.append(f"{_cause(error)} (after {time.monotonic() - began:.0f} s)")
            if not waits:
                note(f"Ray didn't start: {tried[-1]}; once more, with longer waits")
        else:
            if dashboard:
                tell_dashboard(context.dashboard_url)
            return
    raise _does_not_start(tried)


def _attempt(waits: dict[str, str], dashboard: bool) -> Any:
    before = children()
    try:
        with _set({**waits, _CLUSTERS: "0", "RAY_enable_metrics_collection": "0"}), _as_imported_here():
            return _init(dashboard)
    except Exception:
        with suppress(Exception):  # Ray can be in any state
            ray.shutdown()
        end(children() - before)  # they would disturb the next attempt
        raise


def _does_not_start(tried: list[str]) -> InputError:
    return InputError(
        "Ray doesn't start on this machine",
        expected="Ray's processes, running and answering",
        found="; then, with longer waits: ".join(dict.fromkeys(tried)),
        where=f"this machine; Ray's own logs are in {_logs()}",
        fix="run with --executor serial, which needs no Ray; or mend the cause, or wait until the machine is less busy",
    )


def _init(dashboard: bool) -> Any:
    # Without "local", Ray joins any cluster on this machine, even one of another user's run.
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
def _as_imported_here() -> Iterator[None]:
    """Set what Ray reads from the environment when it is imported: this process may have imported it before the suite.

    The node's address is 127.0.0.1. And under `uv run`, a worker doesn't install an environment of its own, which would
    take minutes.
    """
    names = ("ENABLE_RAY_CLUSTER", "RAY_ENABLE_UV_RUN_RUNTIME_ENV")
    before = {name: getattr(ray_constants, name) for name in names}
    for name in names:
        setattr(ray_constants, name, False)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(ray_constants, name, value)


@contextmanager
def _set(values: dict[str, str]) -> Iterator[None]:
    """Set environment variables while Ray starts, so that its processes inherit them."""
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
    """The reason why Ray didn't start, in words."""
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

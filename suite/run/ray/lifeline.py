"""End a run with one message if its Ray cluster has lost its head node. Ray itself would kill the process later."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from suite.errors import InputError

EVERY = 5.0  # seconds between two connection attempts, and the timeout of each
RAYS_PATIENCE = "RAY_gcs_rpc_server_reconnect_timeout_s"  # seconds without the head until Ray kills each process
PART = 2 / 3  # fraction of these after which the run ends; the rest is for storing records and printing the message
GRACE = 5.0  # seconds for the main thread to end; mostly it can't, because it waits for an answer in Ray


@contextmanager
def lifeline(address: str, *, every: float = EVERY, grace: float = GRACE) -> Iterator[None]:
    """Connect to a cluster's head node at intervals, from a thread, while the main thread uses the cluster.

    SIGTERM must raise KeyboardInterrupt in this process. If the first connection fails, the head isn't watched: it may
    not be reachable from here.

    Args:
        address: HOST:PORT of the head node.
        every: Seconds between two connection attempts.
        grace: Seconds for the main thread to end after the head was lost; then the process exits with code 2.

    Raises:
        InputError: The head didn't answer for two thirds of the time after which Ray gives up.
    """
    if threading.current_thread() is not threading.main_thread() or not _answers(address, every):
        yield
        return
    seconds = float(os.environ.get(RAYS_PATIENCE, "60")) * PART
    watch = _Watch(address, seconds, every, grace)
    watch.start()
    try:
        try:
            yield
        finally:
            watch.stop()
    except BaseException:
        if watch.lost:
            watch.told.set()
            raise _head_is_lost(seconds) from None
        raise


class _Watch(threading.Thread):
    """Interrupts the main thread when the head node hasn't answered for `seconds` seconds."""

    def __init__(self, address: str, seconds: float, every: float, grace: float) -> None:
        super().__init__(name="lifeline", daemon=True)
        self._address, self._seconds, self._every, self._grace = address, seconds, every, grace
        self._over, self._deciding = threading.Event(), threading.Lock()
        self.lost, self.told = False, threading.Event()

    def run(self) -> None:
        # Count failed connections, not seconds: a machine that was suspended for an hour has no failed ones.
        silent, pause = 0, self._every
        while silent == 0 or silent * self._every < self._seconds:
            if self._over.wait(pause):
                return
            began = time.monotonic()
            silent = 0 if _answers(self._address, self._every) else silent + 1
            pause = max(0.0, self._every + began - time.monotonic())
        with self._deciding:
            if self._over.is_set():
                return
            self.lost = True
            # Not SIGINT, because background jobs of a shell ignore it.
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
        if not self.told.wait(self._grace):
            # Exiting here is safe: each record is stored by an atomic rename.
            with suppress(OSError, ValueError):
                sys.stdout.flush()
                print(f"error: {_head_is_lost(self._seconds)}", file=sys.stderr, flush=True)
            os._exit(2)

    def stop(self) -> None:
        """Stop watching. After this call the main thread is not interrupted."""
        with self._deciding:
            self._over.set()


def _answers(address: str, seconds: float) -> bool:
    """Whether a server listens at the address. A busy head still does: its operating system accepts the connection."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), seconds).close()
    except OSError:
        return False
    return True


def _head_is_lost(seconds: float) -> InputError:
    return InputError(
        "the Ray cluster has lost its head",
        expected="a head that answers until the grid is done",
        found=f"no answer for {seconds:.0f} s",
        where="the cluster of this run",
        fix="what had finished is stored; start the cluster again, or take another one, and run the same command "
        "again: it goes on from the last snapshots",
    )

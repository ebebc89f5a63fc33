"""Ends a run whose Ray cluster has lost its head, with one message: Ray itself would end the process soon after."""

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

EVERY = 5.0  # seconds between two knocks, and for an answer
RAYS_PATIENCE = "RAY_gcs_rpc_server_reconnect_timeout_s"  # seconds after which Ray ends each process, whatever it does
PART = 2 / 3  # of them: what is left is for storing and telling
GRACE = 5.0  # seconds for the main thread to come to its end: it mostly waits in Ray for an answer that never comes


@contextmanager
def lifeline(address: str, *, every: float = EVERY, grace: float = GRACE) -> Iterator[None]:
    """Knock at a cluster's head, HOST:PORT, from a thread, while the main thread works with the cluster.

    SIGTERM must raise KeyboardInterrupt in this process. A head that doesn't even answer the first knock isn't
    watched: there may be no way to it from here.

    Raises:
        InputError: the head has been silent for two thirds of the time that Ray waits for it.
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
    """Interrupts the main thread when no knock has been answered for so many seconds."""

    def __init__(self, address: str, seconds: float, every: float, grace: float) -> None:
        super().__init__(name="lifeline", daemon=True)
        self._address, self._seconds, self._every, self._grace = address, seconds, every, grace
        self._over, self._deciding = threading.Event(), threading.Lock()
        self.lost, self.told = False, threading.Event()

    def run(self) -> None:
        # Knocks are counted, not seconds: a machine that was suspended for an hour has missed none.
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
            # Not SIGINT, which a shell ignores for what runs in its background.
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
        if not self.told.wait(self._grace):
            # Records are stored one by one, each with a rename: there is nothing that must not be left like this.
            with suppress(OSError, ValueError):
                sys.stdout.flush()
                print(f"error: {_head_is_lost(self._seconds)}", file=sys.stderr, flush=True)
            os._exit(2)

    def stop(self) -> None:
        """The work is over: interrupt nobody any more."""
        with self._deciding:
            self._over.set()


def _answers(address: str, seconds: float) -> bool:
    """Whether somebody listens there. A head that is only busy does: its system takes the connection."""
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

"""Notices that a cluster's head is gone, before Ray ends the driver's process for it without a word to us."""

from __future__ import annotations

import signal
import socket
import threading
import time
from types import TracebackType
from typing import Self

from suite.errors import InputError

PATIENCE = 40.0  # seconds without the head; Ray's own patience is a minute, and what has finished must be stored before
EVERY = 5.0  # seconds between two looks


class Lifeline:
    """Interrupts the main thread, as Ctrl-C does, when nobody has listened at the head's address for a while.

    A head that answers again in time was never missed: workers go on without it, and Ray reconnects. Enter it in the
    main thread.
    """

    def __init__(self, address: str, patience: float = PATIENCE, every: float = EVERY) -> None:
        """address: HOST:PORT of the head's control service."""
        host, _, port = address.rpartition(":")
        self._address = (host.strip("[]"), int(port))
        self._patience, self._every = patience, every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="lifeline", daemon=True)
        self.lost = False

    def __enter__(self) -> Self:
        # Not Ctrl-C's own signal, which is ignored in what a script runs in its background.
        self._before = signal.signal(signal.SIGUSR1, signal.default_int_handler)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        signal.signal(signal.SIGUSR1, self._before)
        if self.lost:
            raise InputError(
                "the head of the Ray cluster is gone",
                expected="a head that answers as long as the grid runs",
                found=f"no answer for {self._patience:.0f} s",
                where=f"--address {self._address[0]}:{self._address[1]}",
                fix="start the cluster anew and run the same command again: what has finished is stored, and what was "
                "under way goes on from its snapshots",
            ) from None

    def _watch(self) -> None:
        seen = time.monotonic()
        while not self._over.wait(self._every):
            try:
                socket.create_connection(self._address, timeout=self._every).close()
                seen = time.monotonic()
            except OSError:
                if time.monotonic() - seen > self._patience:
                    self.lost = True
                    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
                    return

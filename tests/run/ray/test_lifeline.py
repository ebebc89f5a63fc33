"""A head that stays silent ends the run with a message, whatever the main thread waits for."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from suite.errors import InputError
from suite.run.ray.lifeline import RAYS_PATIENCE, lifeline

EVERY = 0.05

# The main thread can't be interrupted, as if it were waiting within Ray.
STUCK = """
import signal, socket, sys, time
from suite.run.ray.lifeline import lifeline
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
head = socket.create_server(("127.0.0.1", 0))
with lifeline(f"127.0.0.1:{head.getsockname()[1]}", every=0.05, grace=0.1):
    print("training")
    head.close()
    time.sleep(30)
print("never")
"""


@pytest.fixture(autouse=True)
def interrupted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """SIGTERM as a run has it, and a Ray that waits for half a second."""
    monkeypatch.setenv(RAYS_PATIENCE, "0.5")
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    yield
    signal.signal(signal.SIGTERM, before)


def listen(port: int = 0) -> socket.socket:
    return socket.create_server(("127.0.0.1", port))


def address(head: socket.socket) -> str:
    return f"127.0.0.1:{head.getsockname()[1]}"


def test_a_lost_head_interrupts_the_run_and_is_told() -> None:
    cleaned = []

    def run(head: socket.socket) -> None:
        with lifeline(address(head), every=EVERY):
            head.close()
            try:
                time.sleep(30)
            finally:
                cleaned.append("what a run does in its end")

    with pytest.raises(InputError, match="lost its head") as told:
        run(listen())
    assert cleaned
    (problem,) = told.value.problems
    assert problem.expected
    assert problem.found
    assert problem.where
    assert "run the same command again" in problem.fix


def test_an_error_that_the_loss_raises_is_told_as_the_loss() -> None:
    def run(head: socket.socket) -> None:
        with lifeline(address(head), every=EVERY):
            head.close()
            try:
                time.sleep(30)
            except KeyboardInterrupt:
                raise RuntimeError("Ray: not connected") from None

    with pytest.raises(InputError, match="lost its head"):
        run(listen())


def test_a_head_that_comes_back_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is away for longer than the run waits, in all, but never at once."""
    monkeypatch.setenv(RAYS_PATIENCE, "1.5")
    head = listen()
    place = address(head)
    with lifeline(place, every=EVERY):
        for _ in range(3):
            port = head.getsockname()[1]
            head.close()
            time.sleep(0.4)
            head = listen(port)
            time.sleep(0.4)
    head.close()


def test_a_head_that_is_busy_is_not_lost() -> None:
    with listen() as head, lifeline(address(head), every=EVERY):  # nobody accepts: the system does
        time.sleep(0.8)


def test_a_head_that_never_answered_is_not_watched() -> None:
    head = listen()
    place = address(head)
    head.close()
    with lifeline(place, every=EVERY):
        time.sleep(0.8)


def test_other_errors_stay_and_the_thread_ends() -> None:
    with listen() as head:
        with pytest.raises(ValueError, match="of the run"), lifeline(address(head), every=EVERY):
            raise ValueError("of the run")
        with pytest.raises(KeyboardInterrupt), lifeline(address(head), every=EVERY):
            signal.raise_signal(signal.SIGTERM)
    for thread in threading.enumerate():
        if thread.name == "lifeline":
            thread.join(5)
            assert not thread.is_alive()


def test_a_main_thread_that_cannot_be_interrupted_is_ended() -> None:
    ended = subprocess.run([sys.executable, "-c", STUCK], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2, ended.stderr
    assert ended.stdout == "training\n"
    assert ended.stderr.startswith("error: the Ray cluster has lost its head\n  expected:")
    assert "Traceback" not in ended.stderr

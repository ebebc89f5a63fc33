"""A head that is gone is noticed; one that comes back was never missed."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from suite.errors import InputError
from suite.execution.lifeline import Lifeline


def head(port: int = 0) -> socket.socket:
    listening = socket.create_server(("127.0.0.1", port))

    def accept() -> None:
        while True:
            try:
                listening.accept()[0].close()
            except OSError:
                return

    threading.Thread(target=accept, daemon=True).start()
    return listening


def close(listening: socket.socket) -> None:
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()


def test_a_head_that_is_gone_ends_the_run_with_one_message() -> None:
    listening = head()
    address = "127.0.0.1:{1}".format(*listening.getsockname())

    def run() -> None:
        with Lifeline(address, 0.3, 0.05):
            time.sleep(0.2)
            close(listening)
            time.sleep(60)

    began = time.monotonic()
    with pytest.raises(InputError, match="the head of the Ray cluster is gone") as caught:
        run()
    assert time.monotonic() - began < 50
    assert "run the same command again" in str(caught.value)


def test_a_head_that_comes_back_was_never_missed() -> None:
    listening = head()
    port = listening.getsockname()[1]
    with Lifeline(f"127.0.0.1:{port}", 5.0, 0.05) as line:
        close(listening)
        time.sleep(0.3)
        again = head(port)
        time.sleep(0.3)
    close(again)
    assert not line.lost


def test_another_error_is_told_as_it_is() -> None:
    listening = head()
    address = "127.0.0.1:{1}".format(*listening.getsockname())
    with pytest.raises(ValueError, match="another"), Lifeline(address, 5.0, 0.05):
        raise ValueError("another")
    close(listening)

"""Processes of this machine that work together, started and watched by the one that waits for what they find."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

import torch
from torch import distributed

from suite.train.parallel.team import Team

PATIENCE = 900.0  # seconds without a sign of life from any process: compiling a large model takes minutes
_BEAT = 1.0  # seconds from one sign of life to the next, at least
_CAUSE = 1.0  # seconds for a death to be known that others' errors may come from
_PARENT_DEATH = 1  # PR_SET_PDEATHSIG of Linux's prctl.h
_NEWS, _DONE, _FAILED = b"*", b"+", b"-"  # how a message begins
_FOREVER = timedelta(days=365)  # who waits for a process that is gone or hangs is ended by the one that watches

Found = tuple[bool, bytes]  # whether the work was done, and what came of it
Hear = Callable[[bytes], None]
Work = Callable[..., Found]  # of one process: it gets its `Team`, and what all are given


class LostError(Exception):
    """A process died, or nothing was heard of any for too long (`silent`)."""

    def __init__(self, told: str, *, silent: bool = False) -> None:
        super().__init__(told)
        self.silent = silent


def work_together(
    work: Work, count: int, given: tuple[object, ...], hear: Hear = lambda news: None, *, on_gpus: bool = False
) -> Found:
    """Let new processes do the work together.

    They communicate over the loopback interface alone: by gloo, and on GPUs by NCCL. When one fails, dies or gives no
    sign of life, all are ended. None outlives the process that calls this.

    Args:
        work: A function of a module. It and what is given are pickled.
        count: How many processes.
        given: The arguments of `work`, after the process's `Team`.
        hear: Receives what the processes tell meanwhile (`Team.tell`).
        on_gpus: Whether each process uses a GPU.

    Returns:
        What the first process found, or the first that failed.

    Raises:
        LostError: A process died, or all were silent for `PATIENCE`.
    """
    context = multiprocessing.get_context("spawn")
    pipes: list[Connection] = []
    processes: list[SpawnProcess] = []
    with tempfile.TemporaryDirectory(prefix="lape-team-") as folder:
        try:
            for rank in range(count):
                ours, theirs = context.Pipe(duplex=False)
                pipes.append(ours)
                meeting = _Meeting(rank, count, Path(folder, "meeting"), on_gpus)
                process = context.Process(target=_member, args=(theirs, meeting, work, given), name=f"lape-{rank}")
                process.start()
                processes.append(process)
                theirs.close()
            return _watch(pipes, processes, hear)
        finally:
            for process in processes:
                process.kill()
            for process in processes:
                process.join()
            for pipe in pipes:
                pipe.close()


@dataclass(frozen=True)
class _Meeting:
    """How a process finds the others. file: it isn't there before they meet."""

    rank: int
    size: int
    file: Path
    on_gpus: bool

    def join(self) -> None:
        loopback = "lo" if sys.platform == "linux" else "lo0"
        for name in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
            os.environ.setdefault(name, loopback)
        distributed.init_process_group(
            "cpu:gloo,cuda:nccl" if self.on_gpus else "gloo",
            init_method=self.file.as_uri(),
            rank=self.rank,
            world_size=self.size,
            timeout=_FOREVER,
        )


def _watch(pipes: list[Connection], processes: list[SpawnProcess], hear: Hear) -> Found:
    """Wait for what the processes find. The first failure is the cause of the others, unless a death is."""
    found: dict[int, Found] = {}
    open_ = {pipe: rank for rank, pipe in enumerate(pipes)}
    while open_:
        heard = wait(list(open_), timeout=PATIENCE)
        if not heard:
            raise LostError(f"none of {len(pipes)} processes was heard of for {PATIENCE:g} s", silent=True)
        for pipe in heard:
            assert isinstance(pipe, Connection)
            rank = open_[pipe]
            try:
                message = pipe.recv_bytes()
            except (EOFError, OSError):
                del open_[pipe]
                if rank not in found:
                    raise _death(processes, rank) from None
                continue
            if message[:1] == _NEWS:
                hear(message[1:])
            elif message:  # an empty one is a sign of life
                found[rank] = message[:1] == _DONE, message[1:]
                if not found[rank][0]:
                    if wait([process.sentinel for process in _others(processes, rank)], timeout=_CAUSE):
                        _raise_deaths(processes)
                    return found[rank]
    return found[0]


def _others(processes: list[SpawnProcess], rank: int) -> Iterable[SpawnProcess]:
    return (process for number, process in enumerate(processes) if number != rank)


def _raise_deaths(processes: list[SpawnProcess]) -> None:
    for rank, process in enumerate(processes):
        if process.exitcode is not None and process.exitcode < 0:
            raise _death(processes, rank)


def _death(processes: list[SpawnProcess], rank: int) -> LostError:
    process = processes[rank]
    process.join(_CAUSE)
    code = process.exitcode
    end = f"exit code {code}"
    if code is not None and code < 0:
        end = f"signal {-code} ({signal.Signals(-code).name})"
    return LostError(f"process {rank + 1} of {len(processes)} died: {end}")


def _member(pipe: Connection, meeting: _Meeting, work: Work, given: tuple[object, ...]) -> None:
    """What each process does."""
    _die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the one that watches ends us
    if meeting.rank > 0:
        sys.stderr = Path(os.devnull).open("w")  # notes, which the first one says for all  # noqa: SIM115
    meeting.join()
    sending, last = threading.Lock(), time.monotonic()

    def send(message: bytes) -> None:
        with sending:
            pipe.send_bytes(message)

    def beat() -> None:
        nonlocal last
        if time.monotonic() - last > _BEAT:
            last = time.monotonic()
            send(b"")

    team = Team(meeting.rank, meeting.size, beat, lambda news: send(_NEWS + news))
    done, content = work(team, *given)
    send((_DONE if done else _FAILED) + content)
    if done:
        team.add([torch.zeros(1)])  # nobody goes while another still reads from him
        distributed.destroy_process_group()


def _die_with_parent() -> None:
    """End this process as soon as the one that started it has ended, however that was."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PARENT_DEATH, signal.SIGKILL)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()

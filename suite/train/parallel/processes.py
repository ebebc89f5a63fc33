"""Start and supervise a group of cooperating processes on this machine, and return their result."""

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

from suite.grid.methods import Carried
from suite.train.parallel.team import Team

PATIENCE = 900.0  # seconds without a message from any process until all count as hung; compiling can take minutes
_BEAT = 1.0  # the least number of seconds from one sign of life to the next
_CAUSE = 1.0  # seconds to wait for the death of another process that may have caused an error
_PARENT_DEATH = 1  # PR_SET_PDEATHSIG of Linux's prctl.h
_NEWS, _DONE, _FAILED = b"*", b"+", b"-"  # the first byte of a message
_FOREVER = timedelta(days=365)  # no timeout: the supervising process kills those that wait for a dead or hung process

Found = tuple[bool, bytes]  # whether the work succeeded, and its result
Hear = Callable[[bytes], None]
Work = Callable[..., Found]  # runs in each process, with its `Team` and the arguments that all processes get


class LostError(Exception):
    """A process died, or no process sent a message for too long (`silent`)."""

    def __init__(self, told: str, *, silent: bool = False) -> None:
        super().__init__(told)
        self.silent = silent


def work_together(
    work: Work, count: int, given: tuple[object, ...], hear: Hear = lambda news: None, *, on_gpus: bool = False
) -> Found:
    """Run `work` in several new processes that cooperate.

    The processes communicate only over the loopback interface, by gloo and, on GPUs, by NCCL. If one fails or dies, or
    all are silent for too long, all are killed. None outlives the calling process.

    Args:
        work: A module-level function. It and its arguments are pickled.
        count: Number of processes.
        given: The arguments of `work`, after the process's `Team`.
        hear: Receives the messages that processes send by `Team.tell`.
        on_gpus: Whether each process uses a GPU.

    Returns:
        The result of the first process if all succeeded, else that of the process that failed first.

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
                process = context.Process(
                    target=_member, args=(Carried(), theirs, meeting, work, given), name=f"lape-{rank}"
                )
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
    """The settings by which a process joins the group. `file` must not exist before the first process joins."""

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
    """Wait for the results of the processes.

    Args:
        pipes: The receiving end of each process's pipe.
        processes: The processes, by rank.
        hear: Receives the messages that processes send by `Team.tell`.

    Returns:
        The first failure, if any, because it may have caused the others; else the result of the first process.

    Raises:
        LostError: A process died, which may have caused a failure elsewhere, or all were silent for `PATIENCE`.
    """
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
            elif message:  # an empty message is only a sign of life
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


def _member(methods: Carried, pipe: Connection, meeting: _Meeting, work: Work, given: tuple[object, ...]) -> None:
    """The main function of each process: join the group, do the work, and send the result.

    Args:
        methods: Loads the method files here, before what uses their levels is unpickled.
        pipe: The sending end of the pipe to the supervising process.
        meeting: The settings by which to join the group.
        work: The function to run.
        given: Its arguments, after the process's `Team`.
    """
    _die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the supervising one then kills us
    if meeting.rank > 0:
        sys.stderr = Path(os.devnull).open("w")  # the first process prints all notes  # noqa: SIM115
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
        team.add([torch.zeros(1)])  # a barrier: no process exits while another still receives from it
        distributed.destroy_process_group()


def _die_with_parent() -> None:
    """Make this process exit as soon as its parent has exited, even if the parent was killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PARENT_DEATH, signal.SIGKILL)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()

"""Processes that train concurrently: one process for each of the trials that would run at the same time."""

from __future__ import annotations

import multiprocessing
import sys
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Literal, Self

import torch

from suite.bench.throughput.turns import Loop, LoopSetting, Task, Turn, take_turn
from suite.bench.throughput.workload import Workload
from suite.errors import InputError, first_line

Side = Literal["ours", "timm"]
_PATIENCE = 10.0  # seconds that a process has to exit after it was asked to
_READY = "ready"


@dataclass(frozen=True)
class _Request:
    task: Task
    setting: LoopSetting
    batches: int


class Crowd:
    """`count` worker processes of one side. A context manager: the processes end with the context.

    Each side has its own processes, so that the sides don't share threads, memory or imports.
    """

    def __init__(self, side: Side, workload: Workload, count: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._connections, self._processes = list[Connection](), list[multiprocessing.process.BaseProcess]()
        for _ in range(count):
            mine, its = context.Pipe()
            process = context.Process(target=_serve, args=(its, side, workload))
            process.start()
            its.close()
            self._connections.append(mine)
            self._processes.append(process)

    def turn(self, task: Task, setting: LoopSetting, batches: int) -> Turn:
        """Run a number of batches in every process concurrently, and return the combined measurement.

        The time goes from the first process's start to the last one's end. Images and CPU time are summed over the
        processes; memory is the maximum over them. An exception in a process is raised again here.

        Args:
            task: what is timed.
            setting: threads, loader processes and loader of each process.
            batches: batches of each process.

        Raises:
            InputError: a process ran out of memory or died.
        """
        self._tell(_Request(task, setting, batches))
        for connection in self._connections:
            self._hear(connection)
        self._tell(_READY)
        turns: list[Turn] = [self._hear(connection) for connection in self._connections]
        return Turn(
            images=sum(turn.images for turn in turns),
            began=min(turn.began for turn in turns),
            ended=max(turn.ended for turn in turns),
            cpu_seconds=sum(turn.cpu_seconds for turn in turns),
            memory_mb=max(turn.memory_mb for turn in turns),
        )

    def _tell(self, message: object) -> None:
        for connection in self._connections:
            with suppress(BrokenPipeError):  # the process has ended; `_hear` reports why
                connection.send(message)

    def _hear(self, connection: Connection) -> Any:
        try:
            answer = connection.recv()
        except (EOFError, ConnectionResetError):
            raise self._too_much("a process that was measuring has died", "it ended without a word") from None
        if isinstance(answer, torch.OutOfMemoryError | MemoryError):
            raise self._too_much("a process that was measuring has no memory left", first_line(answer))
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _too_much(self, what: str, found: str) -> InputError:
        return InputError(
            what,
            expected=f"memory for {len(self._processes)} trainings at once, of each side",
            found=found,
            where="lape bench --throughput",
            fix="free memory, or choose a smaller --batch-size or --side-by-side",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for connection in self._connections:
            connection.close()  # a closed connection tells the process to exit
        for process in self._processes:
            process.join(_PATIENCE)
            if process.is_alive():
                process.terminate()
                process.join()


def _serve(connection: Connection, side: Side, workload: Workload) -> None:
    """The main function of a worker process: answer requests until the connection is closed."""
    if sys.platform == "linux":  # data loaders fork their workers: spawning them would take seconds
        multiprocessing.set_start_method("fork", force=True)
    try:
        loop = make_loop(side, workload)

        def wait() -> None:
            connection.send(_READY)
            connection.recv()

        while True:
            request: _Request = connection.recv()
            size = workload.recipe.batch_size
            connection.send(
                take_turn(loop, request.task, request.setting, request.batches, size, workload.device, wait)
            )
    except (EOFError, KeyboardInterrupt):
        return
    except Exception as error:  # any error: the parent process reports it
        connection.send(error)


def make_loop(side: Side, workload: Workload) -> Loop:
    """Build the training loop of a side. timm is imported for the timm side only."""
    if side == "ours":
        from suite.bench.throughput.ours import OurLoop

        return OurLoop(workload)
    from suite.bench.throughput.timm_loop import TimmLoop

    return TimmLoop(workload)

"""Processes that train at once: as many of one side as there are trials side by side."""

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
_PATIENCE = 10.0  # seconds for a process to end, once it was asked to
_READY = "ready"


@dataclass(frozen=True)
class _Request:
    task: Task
    setting: LoopSetting
    batches: int


class Crowd:
    """So many processes of one side. A context manager: they end with it.

    Each side has processes of its own, so that neither shares the other's threads, memory or imports.
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
        """All of them at once, each so many batches, from the first that begins to the last that ends.

        Images and CPU time are those of all together, memory is the most that one of them held. Raises what a process
        raised.
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
            with suppress(BrokenPipeError):  # it has ended; why, it has said, or nobody knows: `_hear` tells
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
            connection.close()  # which is how they learn that it is over
        for process in self._processes:
            process.join(_PATIENCE)
            if process.is_alive():
                process.terminate()
                process.join()


def _serve(connection: Connection, side: Side, workload: Workload) -> None:
    """What a process does: take turns until nobody asks any more."""
    if sys.platform == "linux":  # loaders fork there: workers that start as this process did would take seconds
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
    except Exception as error:  # whatever it is, the asking process tells it
        connection.send(error)


def make_loop(side: Side, workload: Workload) -> Loop:
    """A side's loop. Only timm's imports timm."""
    if side == "ours":
        from suite.bench.throughput.ours import OurLoop

        return OurLoop(workload)
    from suite.bench.throughput.timm_loop import TimmLoop

    return TimmLoop(workload)

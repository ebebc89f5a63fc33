"""A turn: a timed number of batches of one loop."""

from __future__ import annotations

import math
import multiprocessing
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import torch

from suite.train.steps.memory import PeakMemory, release

# "step": the training step on one prepared batch. "pipeline": the input pipeline alone. "training": both together.
Task = Literal["step", "pipeline", "training"]


@dataclass(frozen=True)
class LoopSetting:
    """How a loop uses the machine.

    Args:
        threads: torch's number of CPU threads.
        workers: loader processes.
        prefetcher: use timm's prefetching loader instead of the plain one.
    """

    threads: int
    workers: int = 0
    prefetcher: bool = False

    def __str__(self) -> str:
        parts = [f"{self.threads} thread{'s' * (self.threads > 1)}"]
        if self.workers:
            parts.append(f"{self.workers} worker{'s' * (self.workers > 1)}")
        return ", ".join([*parts, *["prefetching"] * self.prefetcher])


class Loop(Protocol):
    """The training loop of one side, whose parts can be run separately."""

    def ready(self, task: Task, setting: LoopSetting) -> AbstractContextManager[Callable[[int], None]]:
        """Return a context that yields a function, already warmed up, which runs a number of batches of the task."""


@dataclass(frozen=True)
class Turn:
    """The measurements of a turn.

    Args:
        images: images that were processed.
        began: the start in seconds, on a clock that all processes share.
        ended: the end in seconds, on the same clock.
        cpu_seconds: CPU time of the process and its children; NaN if the system doesn't report the children's.
        memory_mb: peak memory without that of the children, see `PeakMemory`.
    """

    images: int
    began: float
    ended: float
    cpu_seconds: float
    memory_mb: float

    @property
    def seconds(self) -> float:
        """Wall-clock time of the turn."""
        return self.ended - self.began


def take_turn(
    loop: Loop,
    task: Task,
    setting: LoopSetting,
    batches: int,
    workload_batch: int,
    device: torch.device,
    wait: Callable[[], None] = lambda: None,
) -> Turn:
    """Run and time a number of batches of a task.

    Args:
        loop: the training loop.
        task: what is timed.
        setting: how the loop uses the machine.
        batches: the number of batches.
        workload_batch: images per batch.
        device: where the loop computes.
        wait: called after the warm-up. It blocks until all concurrent loops are ready, so that they start together.
    """
    torch.set_num_threads(setting.threads)
    release(device)  # free the memory of an earlier task
    with loop.ready(task, setting) as run:
        memory = PeakMemory(device)
        _synchronise(device)
        wait()
        cpu, began = cpu_seconds(), time.perf_counter()
        run(batches)
        _synchronise(device)
        ended = time.perf_counter()
        cpu = cpu_seconds() - cpu
        return Turn(batches * workload_batch, began, ended, cpu, memory.megabytes())


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def cpu_seconds() -> float:
    """Return the CPU time of this process, summed over its threads, plus that of its running children."""
    return time.process_time() + sum(_of_process(child.pid) for child in multiprocessing.active_children())


def _of_process(pid: int | None) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return math.nan
    user, system = fields[11:13]  # fields 14 and 15 of proc(5); the split starts after field 2, the name in brackets
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

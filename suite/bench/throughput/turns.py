"""A turn of a loop: so many batches, timed."""

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

# The training step on a batch that lies ready; the input pipeline alone; one feeding the other.
Task = Literal["step", "pipeline", "training"]


@dataclass(frozen=True)
class LoopSetting:
    """How a loop uses the machine: torch's threads, processes that load, timm's prefetching loader or its plain one."""

    threads: int
    workers: int = 0
    prefetcher: bool = False

    def __str__(self) -> str:
        parts = [f"{self.threads} thread{'s' * (self.threads > 1)}"]
        if self.workers:
            parts.append(f"{self.workers} worker{'s' * (self.workers > 1)}")
        return ", ".join([*parts, *["prefetching"] * self.prefetcher])


class Loop(Protocol):
    """One side: a training that can be run piece by piece."""

    def ready(self, task: Task, setting: LoopSetting) -> AbstractContextManager[Callable[[int], None]]:
        """What runs so many batches of a task, warmed up."""


@dataclass(frozen=True)
class Turn:
    """What became of a turn.

    began, ended: on the clock that all processes share, in seconds. cpu_seconds: of the process and of its children;
    NaN where the system doesn't tell theirs. memory_mb: see `PeakMemory`; its children aren't in it.
    """

    images: int
    began: float
    ended: float
    cpu_seconds: float
    memory_mb: float

    @property
    def seconds(self) -> float:
        """How long it took."""
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
    """Run so many batches of a size. wait: for the others, where several loops begin together."""
    torch.set_num_threads(setting.threads)
    release(device)  # of what an earlier task held
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
    """CPU time of this process, all threads together, and of the children that it has now."""
    return time.process_time() + sum(_of_process(child.pid) for child in multiprocessing.active_children())


def _of_process(pid: int | None) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return math.nan
    user, system = fields[11:13]  # the 14th and 15th of all, of which the name in brackets is the second
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

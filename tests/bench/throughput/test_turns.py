"""A turn is timed with the CPU time of all that worked in it."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch

from suite.bench.throughput.turns import LoopSetting, Task, cpu_seconds, take_turn


def _work(began: multiprocessing.synchronize.Event) -> None:
    end = time.process_time() + 0.3
    while time.process_time() < end:
        pass
    began.set()
    time.sleep(30)


def test_cpu_time_is_that_of_the_children_too() -> None:
    context = multiprocessing.get_context("spawn")
    done = context.Event()
    own = time.process_time()
    process = context.Process(target=_work, args=(done,))
    before = cpu_seconds()
    process.start()
    try:
        assert done.wait(60)
        of_all, own = cpu_seconds() - before, time.process_time() - own
    finally:
        process.kill()
        process.join()
    assert of_all - own > 0.25


class _Loop:
    """Sleeps where it should compute, and notes what it was asked."""

    def __init__(self) -> None:
        self.events: list[object] = []

    @contextmanager
    def ready(self, task: Task, setting: LoopSetting) -> Iterator[Callable[[int], None]]:
        self.events.append((task, torch.get_num_threads()))

        def run(batches: int) -> None:
            self.events.append(batches)
            time.sleep(0.05 * batches)

        yield run
        self.events.append("closed")


def test_only_the_batches_are_timed() -> None:
    loop, threads = _Loop(), torch.get_num_threads()
    waited: list[float] = []

    def wait() -> None:
        time.sleep(0.2)
        waited.append(time.perf_counter())

    try:
        turn = take_turn(loop, "pipeline", LoopSetting(2), 3, 16, torch.device("cpu"), wait)
    finally:
        torch.set_num_threads(threads)
    assert loop.events == [("pipeline", 2), 3, "closed"]
    assert turn.images == 48
    assert turn.began >= waited[0]
    assert 0.15 <= turn.seconds < 0.35
    assert turn.cpu_seconds < 0.1
    assert 10 < turn.memory_mb < 1e6


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        (LoopSetting(1), "1 thread"),
        (LoopSetting(2, 1), "2 threads, 1 worker"),
        (LoopSetting(1, 2, True), "1 thread, 2 workers, prefetching"),
    ],
)
def test_a_setting_in_words(setting: LoopSetting, text: str) -> None:
    assert str(setting) == text

"""Images per CPU second of the suite's input pipeline, interleaved with timm's, which processes images one by one."""

from __future__ import annotations

import statistics
import time
from contextlib import ExitStack

import torch

from benchmarks.workloads import headline
from suite.bench.throughput.ours import OurLoop
from suite.bench.throughput.timm_loop import TimmLoop
from suite.bench.throughput.turns import LoopSetting

BATCHES = 8  # batches of one turn
TURNS = 7


def throughputs() -> tuple[float, float]:
    """Return the median throughput of the suite's pipeline and of timm's, on one core with the recipe for CIFAR-10."""
    workload, setting = headline(), LoopSetting(1)
    threads = torch.get_num_threads()
    torch.set_num_threads(setting.threads)
    try:
        with ExitStack() as stack:
            sides = [
                stack.enter_context(loop.ready("pipeline", setting)) for loop in (OurLoop(workload), TimmLoop(workload))
            ]
            times: list[list[float]] = [[], []]
            for turn in range(TURNS + 1):
                for run, found in zip(sides, times, strict=True):
                    began = time.process_time()
                    run(BATCHES)
                    if turn:  # the first turn is a warm-up
                        found.append(BATCHES * workload.recipe.batch_size / (time.process_time() - began))
    finally:
        torch.set_num_threads(threads)
    return statistics.median(times[0]), statistics.median(times[1])

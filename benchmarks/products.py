"""Measures the share of matrix products in a training step. Better code can save at most the rest."""

from __future__ import annotations

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.workloads import headline
from suite.bench.throughput.ours import OurLoop
from suite.bench.throughput.turns import LoopSetting
from suite.models.build import build_model
from suite.models.costs.macs import count_macs

STEPS = 2
_NAMES = ("mm", "scaled_dot_product", "convolution")  # parts of the names of operators that multiply matrices


def products() -> dict[str, float | str]:
    """Profile a training step of ViT-Lite-7/4 on one thread with torch's profiler.

    Returns:
        share: the fraction of the operators' time that is spent in matrix products, including attention.
        flops_per_second: the floating-point rate of the matrix products.
        instructions: the widest CPU instruction set that torch uses on this machine.
    """
    workload = headline()
    cell, recipe, loop = workload.cell, workload.recipe, OurLoop(workload)
    torch.set_num_threads(1)
    with loop.ready("step", LoopSetting(1)) as run, profile(activities=[ProfilerActivity.CPU]) as profiled:
        run(STEPS)
    seconds = {event.key: event.self_cpu_time_total / 1e6 for event in profiled.key_averages()}
    operators = {name: time for name, time in seconds.items() if name.startswith("aten::")}
    spent = sum(time for name, time in operators.items() if any(part in name for part in _NAMES))
    flops = 6 * count_macs(build_model(cell), cell.shape.image_size, cell.shape.in_chans) * recipe.batch_size * STEPS
    return {
        "share": spent / sum(operators.values()),
        "flops_per_second": flops / spent,
        "instructions": torch.backends.cpu.get_cpu_capability(),
    }

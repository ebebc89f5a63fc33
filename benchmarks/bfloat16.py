"""Measures training steps in bfloat16 on a CPU, beside ours in fp32 and timm's in bfloat16.

Run `python -m benchmarks.performance bf16_step`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any, Literal

import torch

from benchmarks.documents import flops_text, markdown
from benchmarks.workloads import headline
from suite.bench.ratios import paired_ratio, quartiles
from suite.bench.throughput.crowd import Crowd, Side
from suite.bench.throughput.matmul import matmul_rate
from suite.bench.throughput.turns import LoopSetting
from suite.cli.commands.throughput import rate_text, ratio_text
from suite.cores import usable_cores
from suite.models.build import build_model
from suite.models.costs.macs import count_macs
from suite.store.environment import processor

ROUNDS, BATCHES = 8, 4
Precision = Literal["bf16", "fp32"]
SIDES: dict[str, tuple[Side, Precision]] = {
    "ours, bf16": ("ours", "bf16"),
    "timm, bf16": ("timm", "bf16"),
    "ours, fp32": ("ours", "fp32"),
}
DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}
OURS = "ours, bf16"
LEAST = {"timm, bf16": 1.25, "ours, fp32": 1.9}  # the targets of ours in bfloat16, against each


def measure() -> dict[str, Any]:
    """Measure the steps of all sides in turn, on all cores, and large products: images and operations per second."""
    work, setting = headline(), LoopSetting(usable_cores())
    rates: dict[str, list[float]] = {name: [] for name in SIDES}
    matmul: dict[str, list[float]] = {name: [] for name in DTYPES}
    with ExitStack() as stack:
        crowds = {
            name: stack.enter_context(Crowd(side, headline(precision), 1)) for name, (side, precision) in SIDES.items()
        }
        for number in range(ROUNDS + 1):
            for name in SIDES if number % 2 else reversed(SIDES):
                turn = crowds[name].turn("step", setting, BATCHES)
                if number > 0:  # the first round warms up
                    rates[name].append(turn.images / turn.seconds)
            for name, dtype in DTYPES.items():
                matmul[name].append(matmul_rate(work.device, dtype, usable_cores()))
    shape = work.cell.shape
    macs = count_macs(build_model(work.cell), shape.image_size, shape.in_chans)
    environment = {"processor": processor(), "torch": torch.__version__, "cores": usable_cores()}
    return {"rates": rates, "matmul": matmul, "macs": macs, **environment}


def ratio(figures: Mapping[str, Any], other: str) -> dict[str, Any]:
    """Return how many times as fast ours in bfloat16 is as the other side."""
    return asdict(paired_ratio(figures["rates"][other], figures["rates"][OURS]))


def table(figures: Mapping[str, Any]) -> str:
    """Return the table of docs/performance.md, in Markdown."""
    lines = []
    for name, (_, precision) in SIDES.items():
        rate = quartiles(figures["rates"][name])
        flops, peak = 6 * figures["macs"] * rate.median, quartiles(figures["matmul"][precision]).median
        faster = "–" if name == OURS else ratio_text(ratio(figures, name))
        lines.append([name, rate_text(asdict(rate)), faster, flops_text(flops, peak)])
    heads = ("training step", "images per second", "ours, bf16, is faster by", "GFLOP/s (share of a large matmul's)")
    machine = f"{figures['cores']} cores of an {figures['processor']}, torch {figures['torch']}."
    return f"{markdown(heads, lines)}\n\n{machine}"

"""Measures what two trainings on two cores take from each other: each on one thread, alone and beside another like it.

Virtual machines have no counters of cycles and cache misses. So the same is done with three plain loops, each of which
needs one part of the machine: small matrix products (a core), large ones (a core and its caches), and copies (memory).

Run `python -m benchmarks.performance neighbours`.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

import torch

from benchmarks.documents import markdown
from benchmarks.workloads import headline
from suite.bench.ratios import paired_ratio, quartiles
from suite.bench.throughput.crowd import Crowd
from suite.bench.throughput.measure import SIDES
from suite.bench.throughput.turns import LoopSetting
from suite.cli.commands.throughput import rate_text, ratio_text
from suite.store.environment import processor

ROUNDS, BATCHES, SECONDS = 6, 2, 0.5
PROCESSES = 2
_AHEAD = 0.2  # seconds from a request until all processes start
# The lengths of the matrices' sides, and the floats that are copied: 1 MB, 28 MB and 256 MB are in use.
_SMALL, _LARGE, _COPIED = 288, 1536, 2**25
LOOPS = {
    "small": "products of 288×288 matrices",
    "large": "products of 1536×1536 matrices",
    "copies": "copies of 128 MB",
}


def measure() -> dict[str, Any]:
    """Measure rates per process: images, or repetitions of a loop, per second; of each round, alone and beside."""
    rates: dict[str, dict[str, list[float]]] = {name: {"alone": [], "beside": []} for name in (*SIDES, *LOOPS)}
    work, step = headline(), LoopSetting(1)
    context = multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        crowds: dict[tuple[str, str], Crowd] = {
            (side, where): stack.enter_context(Crowd(side, work, count))
            for side in SIDES
            for where, count in (("alone", 1), ("beside", PROCESSES))
        }
        pool = stack.enter_context(ProcessPoolExecutor(PROCESSES, context))
        for number in range(ROUNDS + 1):
            for name, where in _order(rates, number):
                if name in LOOPS:
                    count = PROCESSES if where == "beside" else 1
                    rate = _repeated(pool, name, count)
                else:
                    turn = crowds[name, where].turn("step", step, BATCHES)
                    rate = turn.images / turn.seconds / (PROCESSES if where == "beside" else 1)
                if number:  # the first round is a warm-up
                    rates[name][where].append(rate)
    return {"rates": rates, "processor": processor(), "torch": torch.__version__}


def table(figures: Mapping[str, Any]) -> str:
    """Return the table of docs/performance.md, in Markdown."""
    rates, lines = figures["rates"], []
    for name, of in rates.items():
        told = {where: rate_text(asdict(quartiles(of[where]))) for where in of} if name in SIDES else {}
        what = f"{name}: images per second" if name in SIDES else LOOPS[name]
        kept = ratio_text(asdict(paired_ratio(of["alone"], of["beside"])))
        lines.append([what, told.get("alone", "–"), told.get("beside", "–"), kept])
    ours, timm = (rates[side] for side in SIDES)
    alone, beside = (ratio_text(asdict(paired_ratio(timm[where], ours[where]))) for where in ("alone", "beside"))
    heads = ("one process, one thread", "alone", "beside another", "beside / alone")
    return (
        f"{markdown(heads, lines)}\n\n{figures['processor']}, torch {figures['torch']}. Our training step is {alone} "
        f"times as fast as timm's with one process on the machine, and {beside} times with two of each kind in turn."
    )


def _order(names: Mapping[str, object], number: int) -> Iterator[tuple[str, str]]:
    """Each name alone and beside another, in an order that is reversed every round."""
    places = [(name, where) for name in names for where in ("alone", "beside")]
    return iter(places if number % 2 else places[::-1])


def _repeated(pool: ProcessPoolExecutor, name: str, count: int) -> float:
    """How often per second a loop is repeated in each of so many processes, which start together; a mean over them."""
    start = time.time() + _AHEAD
    found = list(pool.map(_repeat, *zip(*[(name, start)] * count, strict=True)))
    return sum(found) / count


def _repeat(name: str, start: float) -> float:
    torch.set_num_threads(1)
    once = _loop(name)
    once()
    time.sleep(max(0.0, start - time.time()))
    times, began = 0, time.perf_counter()
    while (spent := time.perf_counter() - began) < SECONDS:
        once()
        times += 1
    return times / spent


def _loop(name: str) -> Callable[[], object]:
    if name == "copies":
        source, target = torch.ones(2, _COPIED)
        return lambda: target.copy_(source)
    side = _SMALL if name == "small" else _LARGE
    left, right, made = torch.ones(3, side, side)
    return lambda: torch.matmul(left, right, out=made)

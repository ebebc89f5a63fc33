"""Measures small models, of which most grids here consist: the parts of a whole trial, and micro-batches on a CPU.

Run `python -m benchmarks.performance small`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from typing import Any
from unittest.mock import patch

import torch

from benchmarks.documents import flops_text, markdown
from benchmarks.stacking import pictures
from suite.bench.ratios import paired_ratio, quartiles
from suite.bench.throughput.matmul import matmul_rate
from suite.cli.commands.throughput import ratio_text
from suite.cli.main import app
from suite.data.cache import data_root
from suite.grid.grid import load_grid
from suite.grid.trial import Trial
from suite.models.build import build_model
from suite.models.costs.macs import count_macs
from suite.run.worker import Worker
from suite.store.environment import processor
from suite.train.attempt import Attempt
from suite.train.machine import Machine
from suite.train.one_attempt import process_for
from suite.train.steps.trainer import Trainer
from suite.train.timed_steps import time_steps

GRIDS = ("quickstart", "table2_budget")  # 8×8 digits; the smallest published models on 2,500 images of CIFAR-10
CHANGES = {"table2_budget": ("--set", "axes.dataset=[cifar10]")}
TRIALS = 3  # of each grid
PART, BATCH, MICRO_BATCH = "vit_lite_2_4", 64, 32
ROUNDS, STEPS = 9, 6
LEAST = 1.4  # the target: by micro-batches, against whole batches


def measure() -> dict[str, Any]:
    """Measure all tables of this module."""
    trials = [_in_a_process(grid) for grid in GRIDS]
    environment = {"threads": 1, "processor": processor(), "torch": torch.__version__}
    return {"trials": trials, "micro_batches": micro_batches(), **environment}


def tables(figures: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the tables of docs/performance.md, by name, in Markdown."""
    machine = f"{figures['processor']}, one thread, torch {figures['torch']}."
    parts = {"whole": _whole(figures["trials"]), "micro": _micro(figures)}
    return {name: f"{table}\n\n{machine}" for name, table in parts.items()}


def _whole(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        [
            row["grid"],
            str(row["trials"]),
            f"{row['trial']:.1f}",
            *(f"{100 * row[part] / row['trial']:.1f}" for part in ("step", "test")),
            f"{100 * (row['step'] + row['test']) / row['trial']:.1f}",
            f"{row['command'] - row['trials'] * row['trial']:.1f}",
        ]
        for row in rows
    ]
    heads = ("grid", "trials", "seconds per trial", "steps (%)", "tests (%)", "both (%)", "rest of the command (s)")
    return markdown(heads, lines)


def ratio(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return how many times as fast a step by micro-batches is as one by whole batches."""
    rates = figures["micro_batches"]["rates"]
    return asdict(paired_ratio(rates["whole"], rates[str(MICRO_BATCH)]))


def _micro(figures: Mapping[str, Any]) -> str:
    found, lines = figures["micro_batches"], []
    matmul = quartiles(found["matmul"]).median
    for name, rates in found["rates"].items():
        rate = quartiles(rates).median
        faster = "–" if name == "whole" else ratio_text(ratio(figures))
        lines.append([name, f"{rate:,.0f}", faster, flops_text(6 * found["macs"] * rate, matmul)])
    return markdown(("cpu_micro_batch", "images per second", "ratio", "GFLOP/s (share of a large matmul's)"), lines)


def micro_batches() -> dict[str, Any]:
    """Time training steps of a small model by whole batches and by micro-batches, interleaved, on one thread.

    Returns:
        rates: images per second of each round, by side.
        macs: multiply-accumulates of the model per image.
        matmul: the rate of a large matrix product, in floating-point operations per second, of each round.
    """
    whole = _trial(None)
    train, test = pictures(whole.dataset)
    machine = Machine(data_root(), "cpu")
    sides = {
        name: Attempt([_trial(size)], machine, torch.device("cpu"), train, test)
        for name, size in (("whole", None), (str(MICRO_BATCH), MICRO_BATCH))
    }
    rates: dict[str, list[float]] = {name: [] for name in sides}
    matmul = []
    with process_for(torch.device("cpu"), machine, False):
        trainers = {name: attempt.trainer() for name, attempt in sides.items()}
        for attempt, trainer in zip(sides.values(), trainers.values(), strict=True):
            time_steps(attempt, trainer, 1)
        for turn in range(ROUNDS):
            for name in sorted(sides, reverse=bool(turn % 2)):
                rates[name].append(STEPS * BATCH / time_steps(sides[name], trainers[name], STEPS))
            matmul.append(matmul_rate(torch.device("cpu"), torch.float32, 1))
    shape = whole.dataset
    return {
        "rates": rates,
        "macs": count_macs(build_model(whole.model), shape.image_size, shape.channels),
        "matmul": matmul,
    }


def _trial(micro_batch: int | None) -> Trial:
    overrides = [f"recipe.batch_size={BATCH}"]
    if micro_batch is not None:
        overrides.append(f"recipe.cpu_micro_batch={micro_batch}")
    trials = load_grid("grids/table2_budget.yaml", overrides).expand().trials
    return replace(next(trial for trial in trials if trial.arch.name == PART), seed_index=0)


def _in_a_process(grid: str) -> dict[str, Any]:
    command, began = [sys.executable, "-m", "benchmarks.small_models", grid], time.perf_counter()
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return {**json.loads(told.splitlines()[-1]), "command": time.perf_counter() - began}


def run_trials(grid: str) -> dict[str, Any]:
    """Run some trials of a grid by the command line, from nothing, in this process.

    Returns:
        grid, trials: the grid, and how many of its trials were run.
        trial: the seconds of a trial on average, from its job to its stored record.
        step, test: the seconds of its training steps, without the images they get, and of its passes over test images.
    """
    spent = dict.fromkeys(("trial", "step", "test"), 0.0)
    parts = ((Worker, "__call__", "trial"), (Trainer, "step", "step"), (Trainer, "test", "test"))
    with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        for owner, name, part in parts:
            stack.enter_context(_timed(owner, name, part, spent))
        arguments = [
            "run", grid, *CHANGES.get(grid, ()), "--executor", "serial", "--limit", str(TRIALS), "--threads", "1",
            "--results", f"{folder}/results", "--reports", f"{folder}/reports",
        ]  # fmt: skip
        app(arguments, standalone_mode=False)
    return {"grid": grid, "trials": TRIALS, **{part: seconds / TRIALS for part, seconds in spent.items()}}


@contextmanager
def _timed(owner: type, name: str, part: str, spent: dict[str, float]) -> Iterator[None]:
    method: Callable[..., Any] = getattr(owner, name)

    def timed(*arguments: Any, **options: Any) -> Any:
        began = time.perf_counter()
        try:
            return method(*arguments, **options)
        finally:
            spent[part] += time.perf_counter() - began

    with patch.object(owner, name, timed):
        yield


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Measure the parts of whole trials of a grid.")
    parser.add_argument("grid")
    print(json.dumps(run_trials(parser.parse_args().grid)))

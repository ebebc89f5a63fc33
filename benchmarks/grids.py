"""Generates grids of any size, and records for their trials, without training."""

from __future__ import annotations

import random
from pathlib import Path

from suite.grid.grid import Expansion, load_grid
from suite.grid.trial import Trial
from suite.store.record import Environment, Epoch, RunRecord

_TEXT = """
name: bench
seeds: {seeds}
recipe: {{version: 1, epochs: 30, batch_size: 128, lr: 1e-3}}
impossible: drop
axes:
  arch:
    [vit_lite_2_4, vit_lite_4_4, vit_lite_6_4, vit_lite_7_4, cvt_2_4, cvt_4_4, cvt_6_4, cvt_7_4, cct_2_3x2, cct_7_3x1]
  pe: [learnable]
  join: [default, shared, unshared, lape_shared, lape]
  dataset: [cifar10, cifar100]
"""
CELLS = 100
ENVIRONMENT = Environment(
    torch="0", device="cpu", precision="fp32", python="0", platform="", processor="", threads=1, suite="0", commit=None
)


def write_grid(folder: Path, trials: int) -> Path:
    """Write a grid file with this number of trials (a multiple of 100): 100 cells with equally many seeds each."""
    path = folder / "bench.yaml"
    path.write_text(_TEXT.format(seeds=list(range(trials // CELLS))))
    return path


def expand(folder: Path, trials: int) -> Expansion:
    """Write a grid as `write_grid` does, and return its trials."""
    return load_grid(write_grid(folder, trials)).expand()


def record(trial: Trial, rng: random.Random | None = None) -> RunRecord:
    """Return a record for a trial without training. With `rng`, it has a random accuracy and a history."""
    top1 = rng.gauss(80, 1) if rng else 0.0
    loss = 1 + 1e-6 * trial.seed_index  # two seeds with the same losses would be copies
    history = [
        Epoch(epoch=epoch, lr=1e-3, train_loss=loss, top1=top1 - 30 / (epoch + 1), test_loss=loss, seconds=1.0)
        for epoch in range(trial.recipe.epochs if rng else 0)
    ]
    return RunRecord(
        **trial.identity,
        status="done",
        epochs=trial.recipe.epochs,
        top1=top1,
        top1_best_epoch=top1 + 0.1,
        test_loss=loss,
        params=10**6,
        macs=10**8,
        train_seconds=30.0,
        images_per_second=1000.0,
        started_at="2026-01-01T00:00:00+00:00",
        environment=ENVIRONMENT,
        history=tuple(history),
    )

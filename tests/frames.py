"""Frames as `suite.store.load_frame` gives them, made of a few words instead of trainings."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from suite.grid.axes import GRID_ORDER
from suite.store.canonical import fingerprint
from suite.store.record import AXIS_FIELDS, USUAL_LEVELS

COLUMNS = (
    "trial_id", "cell_id", "grid", "status", *GRID_ORDER, "recipe", "seed_index",
    "epochs", "top1", "top1_best_epoch", "test_loss", "params", "macs", "train_seconds", "images_per_second",
    "peak_memory_mb", "started_at", "test_images", "correct", "diverged_step", "error", "environment", "recipe_id",
)  # fmt: skip
CPU, GPU = "torch 2.15.0, cpu, fp32", "torch 2.15.0, NVIDIA H100, bf16"


def run(seed: int = 0, top1: float = 95.0, **values: Any) -> dict[str, Any]:
    """A row; status other than done leaves its results out."""
    row: dict[str, Any] = {
        "grid": "small", "status": "done", "arch": "vit_lite_digits", "pe": "learnable", "join": "default",
        **USUAL_LEVELS, "dataset": "digits", "recipe": "digits", "recipe_id": "0123456789abcdef",
        "seed_index": seed, "epochs": 30, "params": 68_426.0, "macs": 1_130_000.0, "environment": CPU,
        "started_at": "2026-11-20T12:00:00+00:00", "diverged_step": None, "error": None, **values,
    }  # fmt: skip
    if row["status"] == "done":
        # So many images that an accuracy with two decimals is a number of them.
        bits = base64.b64encode(np.packbits(np.arange(10_000) < round(top1 * 100)).tobytes()).decode()
        row = {
            "top1": top1, "top1_best_epoch": min(top1 + 0.5, 100.0), "test_loss": 0.2 + 1e-6 * seed,
            "train_seconds": 12.5, "images_per_second": 3400.0, "peak_memory_mb": 410.0, "test_images": 10_000,
            "correct": bits, **row,
        }  # fmt: skip
    cell = {name: row[name] for name in (*AXIS_FIELDS, "recipe_id")}
    return {"cell_id": fingerprint(cell), "trial_id": fingerprint({**cell, "seed": seed}), **row}


def frame_of(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """The rows as a frame with all columns; missing numbers are NaN."""
    frame = pd.DataFrame(list(rows), columns=list(COLUMNS))
    numbers = ["top1", "top1_best_epoch", "test_loss", "params", "macs", "train_seconds", "images_per_second",
               "peak_memory_mb"]  # fmt: skip
    return frame.astype(dict.fromkeys(numbers, "float64"))


def paired_rows(
    gains: Sequence[float], base: float = 93.0, seeds: Sequence[int] | None = None, **values: Any
) -> list[dict[str, Any]]:
    """Default and lape of one cell, a pair per gain; the baseline differs from seed to seed."""
    join = values.pop("join", "lape")
    numbered = list(zip(seeds if seeds is not None else range(len(gains)), gains, strict=True))
    baseline = [run(seed, base + 0.1 * (seed % 3), join="default", **values) for seed, _ in numbered]
    return baseline + [run(seed, base + 0.1 * (seed % 3) + gain, join=join, **values) for seed, gain in numbered]


def history_of(frame: pd.DataFrame, epochs: int = 10) -> pd.DataFrame:
    """A smooth history for every run that is done, ending at its top-1."""
    rows = []
    for row in frame[frame["status"] == "done"].to_dict("records"):
        for epoch in range(epochs):
            part = (epoch + 1) / epochs
            rows.append(
                {
                    "trial_id": row["trial_id"], "epoch": epoch, "lr": 1e-3 * (1 - part / 2), "train_loss": 2 - part,
                    "top1": row["top1"] * part**0.3, "test_loss": 2.2 - part, "seconds": 0.4,
                }
            )  # fmt: skip
    columns = ["trial_id", "epoch", "lr", "train_loss", "top1", "test_loss", "seconds"]
    return pd.DataFrame(rows, columns=columns)

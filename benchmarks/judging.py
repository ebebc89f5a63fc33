"""Generates 10,000 runs and 200 claims on them, without training."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.grids import expand, record
from suite.store.canonical import config_ids
from suite.store.folder import RUNS
from suite.store.record import RunRecord, pack_bits
from suite.verdict.claims.claim import Claim

# Copies of each architecture, and trials of one copy: 100 cells of 20 seeds each. This gives 400 contrasts of 20 pairs.
COPIES, TRIALS = 5, 2_000


def write_runs(folder: Path, images: int) -> None:
    """Write the runs of 500 cells as a results folder. If `images` isn't 0, each has per-image correctness for them."""
    rng = np.random.default_rng(0)
    difficulty = rng.random(max(images, 1))
    with tempfile.TemporaryDirectory() as scratch:
        trials = expand(Path(scratch), TRIALS).trials
    lines = []
    for trial in trials:
        made = record(trial, random.Random(trial.id)).model_copy(update={"history": None})
        for copy in range(COPIES):
            config = {**made.config, "grid_seed": copy}  # another seed of the grid, so that each copy has its own ids
            trial_id, cell_id = config_ids(config)
            ids = {"arch": f"{made.arch}_{copy}", "trial_id": trial_id, "cell_id": cell_id, "config": config}
            renamed = made.model_copy(update=ids)
            lines.append((_answered(renamed, difficulty, rng) if images else renamed).model_dump_json())
    (folder / RUNS).write_text("\n".join(lines) + "\n")


def _answered(
    made: RunRecord, difficulty: np.ndarray[tuple[int], np.dtype[np.float64]], rng: np.random.Generator
) -> RunRecord:
    right = rng.random(len(difficulty)) < 0.5 + difficulty / 2
    top1 = 100 * float(right.mean())
    answers = {"test_images": len(right), "correct": pack_bits(right), "top1": top1, "top1_best_epoch": top1}
    return made.model_copy(update=answers)


def claims() -> list[Claim]:
    """Return 200 claims, each on its own contrast."""
    with tempfile.TemporaryDirectory() as scratch:
        cells = {(trial.axis("arch"), trial.axis("dataset")) for trial in expand(Path(scratch), 100).trials}
    contrasts = [
        (f"{arch}_{copy}", dataset, join)
        for arch, dataset in sorted(cells)
        for copy in range(COPIES)
        for join in ("shared", "lape")
    ]
    return [
        Claim.model_validate(
            {
                "id": f"c{number}", "paper": "none", "version": "none", "table": "0", "row": "any",
                "kind": "published", "claimed_gain": 1.0, "margin": 0.5,
                "contrast": {"axis": "join", "baseline": "default", "treatment": join,
                             "match": {"arch": arch, "dataset": dataset}},
            }
        )
        for number, (arch, dataset, join) in enumerate(contrasts)
    ]  # fmt: skip

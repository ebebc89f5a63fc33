"""Measures with `lape bench` what each norm and each loss costs relative to the default, in training and evaluation.

`python -m benchmarks.methods [LEVEL…]` writes docs/methods.json, for all levels or the named ones. The machine should
be idle: other work makes the intervals wider. `python -m tests.test_pages` makes the table of docs/methods.md from it.
"""

from __future__ import annotations

import csv
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.documents import write_figures

REPOSITORY = Path(__file__).resolve().parents[1]
FIGURES = REPOSITORY / "docs" / "methods.json"

# DeiT-Ti's size, with a late class token for every norm; and the suite's smallest ResNet, on images of CIFAR's size.
MODELS = {
    "lape bench --axis norm --arch vit_late --size patch_size=16 --size embed_dim=192 --size depth=12 "
    "--size num_heads=4 --size mlp_ratio=4 --batch-size 2 --rounds 7 --device cpu": (
        "dtn", "dtn_release", "dtn_variance", "bn", "in", "gn", "scalenorm", "powernorm", "switchable"),
    "lape bench --axis norm --arch resnet20 --image-size 32 --classes 10 --batch-size 16 --rounds 7 --device cpu": (
        "l2bn", "l2bn_rms"),
    "lape bench --axis loss --arch deit_tiny --batch-size 16 --threads 2 --rounds 15 --device cpu": (
        "diversepatch", "diverse_cosine", "diverse_contrastive", "diverse_mixing", "diversepatch_release"),
}  # fmt: skip


def measured(command: str) -> list[dict[str, Any]]:
    """Run a command that prints CSV, and return its rows, with numbers converted."""
    arguments = [*shlex.split(command)[1:], "--csv", "-"]
    done = subprocess.run([sys.executable, "-m", "suite", *arguments], capture_output=True, text=True, check=True,
                          cwd=REPOSITORY)  # fmt: skip
    return [{key: _number(text) for key, text in row.items()} for row in csv.DictReader(done.stdout.splitlines())]


def _number(text: str) -> str | float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return text


if __name__ == "__main__":
    load = os.getloadavg()[0]
    found = [
        {"command": command, "rows": [row for level in chosen for row in measured(f"{command} --treatment {level}")]}
        for command, levels in MODELS.items()
        if (chosen := [level for level in levels if level in sys.argv[1:] or not sys.argv[1:]])
    ]
    write_figures(FIGURES, {"load_before": load, "models": found})

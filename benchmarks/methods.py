"""Measures with `lape bench` what each norm and each loss costs relative to the default, in training and evaluation.

`python -m benchmarks.methods [LEVEL…]` writes docs/methods.json: all figures, or those of the commands that have the
named levels. The machine should be idle: other work makes the intervals wider. `python -m tests.test_pages` makes the
table of docs/methods.md from it.
"""

from __future__ import annotations

import csv
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.documents import read_figures, write_figures

REPOSITORY = Path(__file__).resolve().parents[1]
FIGURES = REPOSITORY / "docs" / "methods.json"

# DeiT-Ti's size, with a late class token for every norm; and the suite's smallest ResNet, on images of CIFAR's size.
# DTN makes its matrix P once per batch: a batch of two images would spend too much of its time on it.
_VIT = (
    "lape bench --axis norm --arch vit_late --size patch_size=16 --size embed_dim=192 --size depth=12 "
    "--size num_heads=4 --size mlp_ratio=4"
)
MODELS = {
    f"{_VIT} --batch-size 16 --rounds 7 --device cpu": ("dtn", "dtn_release", "dtn_variance"),
    f"{_VIT} --batch-size 2 --rounds 7 --device cpu": ("bn", "in", "gn", "scalenorm", "powernorm", "switchable"),
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


def main(names: Sequence[str]) -> None:
    """Measure the commands that have one of these levels, or all, and keep the figures of the others."""
    before = {model["command"]: model for model in read_figures(FIGURES).get("models", [])}
    found = []
    for command, levels in MODELS.items():
        if not names or set(names) & set(levels):
            load = os.getloadavg()[0]
            rows = [row for level in levels for row in measured(f"{command} --treatment {level}")]
            found.append({"command": command, "load_before": load, "rows": rows})
        elif command in before:
            found.append(before[command])
    write_figures(FIGURES, {"models": found})


if __name__ == "__main__":
    main(sys.argv[1:])

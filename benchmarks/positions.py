"""Measures what each position embedding costs in a training step of DeiT-Ti on one CPU thread, beside none at all.

`python -m benchmarks.positions [PE…]` writes docs/positions.json, for all position embeddings or the named ones. The
models take steps by turns, in an order that is reversed every round, and the CPU time of the process is taken: so other
programs disturb the ratios little. `python -m tests.test_pages` makes the table of docs/positions.md from it.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.documents import write_figures
from suite.models import create_model
from suite.models.layers.sparing import sparing
from suite.models.positions import POSITIONS
from suite.store.environment import processor

FIGURES = Path(__file__).resolve().parents[1] / "docs" / "positions.json"
MODES = ("complete", "sparing")  # as `lape bench` measures it; as a training run on a CPU computes it
ARCH, SIDE, CLASSES = "deit_tiny", 224, 1000


def step(model: nn.Module, images: Tensor, mode: str) -> float:
    """Take the forward and backward pass of a training step, and return its CPU seconds."""
    start = time.process_time()
    with sparing() if mode == "sparing" else nullcontext():
        model.zero_grad()
        model(images).square().mean().backward()
    return time.process_time() - start


def measure(pes: Sequence[str], *, rounds: int, batch_size: int) -> dict[str, Any]:
    """Measure position embeddings beside none.

    Args:
        pes: the position embeddings.
        rounds: the steps of each model in each mode, after two that aren't counted.
        batch_size: the images of a step.
    """
    images = torch.randn(batch_size, 3, SIDE, SIDE)
    models = {}
    for pe in ("none", *pes):
        torch.manual_seed(0)
        models[pe] = create_model(ARCH, pe=pe, num_classes=CLASSES, image_size=SIDE, drop_path=0.0)
    seconds: dict[tuple[str, str], list[float]] = {(mode, pe): [] for mode in MODES for pe in models}
    for number in range(rounds + 2):
        for mode in MODES:
            for pe in list(models)[:: 1 if number % 2 else -1]:
                found = step(models[pe], images, mode)
                if number > 1:
                    seconds[mode, pe].append(found)
    rows = []
    for mode in MODES:
        plain = seconds[mode, "none"]
        for pe in pes:
            ratios = [one / other for one, other in zip(seconds[mode, pe], plain, strict=True)]
            low, median, high = statistics.quantiles(ratios, n=4)
            rows.append({"pe": pe, "mode": mode, "ratio": median, "low": low, "high": high})
    plain_ms = {mode: 1000 * statistics.median(seconds[mode, "none"]) for mode in MODES}
    return {"rows": rows, "plain_ms": plain_ms, "rounds": rounds, "batch_size": batch_size}


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pes", nargs="*", help="position embeddings; by default all but none")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=16)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    pes = asked.pes or [pe for pe, position in POSITIONS.items() if position.sites and not pe.startswith("learnable+")]
    found = measure(pes, rounds=asked.rounds, batch_size=asked.batch_size)
    write_figures(FIGURES, {**found, "processor": processor(), "torch": torch.__version__})


if __name__ == "__main__":
    main()

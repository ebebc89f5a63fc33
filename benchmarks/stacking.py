"""Seeds of a cell trained at once, and one after another: `python -m benchmarks.stacking --device cuda --seeds 10`."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from suite.attempt import Attempt
from suite.data.cache import data_root
from suite.data.images import load_images
from suite.grid import load_grid
from suite.machine import Machine
from suite.train import process_for

GRIDS = Path(__file__).resolve().parents[1] / "grids"
ROUNDS = 2
SMALL, HEADLINE = "quickstart", "table2"
_HEADLINE_ALONE = (
    "blocks=[{recipe: compact_transformers_cifar10, axes: {arch: [vit_lite_7_4], pe: [learnable], join: [lape], "
    "dataset: [cifar10]}}]"
)


@dataclass(frozen=True)
class Stacked:
    """One cell: images per second of its seeds one after another, and at once; each the best of some rounds."""

    arch: str
    batch_size: int
    seeds: int
    alone: float
    together: float


def stacked(grid: str, seeds: int, device: str) -> Stacked:
    """The first cell of a grid, by `Attempt.pace`, which also decides in a run."""
    overrides = [_HEADLINE_ALONE] if grid == HEADLINE else []
    first = load_grid(GRIDS / f"{grid}.yaml", overrides).expand().trials[0]
    trials = [replace(first, seed_index=seed) for seed in range(seeds)]
    machine = Machine(data_root(), device)
    train, test = (load_images(first.dataset, split, data_root()) for split in ("train", "test"))
    alone, together = (Attempt(part, machine, machine.torch_device(), train, test) for part in (trials[:1], trials))
    with process_for(alone.device, machine, alone.compiled):
        paces = [(alone.pace(), together.pace()) for _ in range(ROUNDS)]
    size = first.recipe.batch_size
    one, all_ = (min(values) for values in zip(*paces, strict=True))
    return Stacked(first.arch.name, size, seeds, size / one, seeds * size / all_)


def main(device: str, seeds: int) -> list[Stacked]:
    """A tiny model on 8 × 8 pixels, and ViT-Lite-7/4 on CIFAR-10."""
    return [stacked(grid, seeds, device) for grid in (SMALL, HEADLINE)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Seeds of a cell trained at once against one after another.")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seeds", type=int, default=5)
    asked = parser.parse_args()
    print(torch.__version__, asked.device)
    for row in main(asked.device, asked.seeds):
        print(json.dumps(asdict(row)))

"""Seeds of a cell trained at once, and one after another: `python -m benchmarks.stacking --device cuda --seeds 10`."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from suite.bench.throughput.workload import made_up
from suite.data.cache import data_root, load_meta
from suite.data.datasets import Dataset
from suite.data.images import Images, load_images
from suite.grid.grid import load_grid
from suite.grid.trial import Trial
from suite.train.attempt import Attempt
from suite.train.machine import Machine
from suite.train.one_attempt import process_for
from suite.train.timed_steps import seconds_per_step

GRIDS = Path(__file__).resolve().parents[1] / "grids"
ROUNDS = 2  # one, where a model is compiled first
SMALL, HEADLINE = "quickstart", "table2"


@dataclass(frozen=True)
class Stacked:
    """One cell: images per second of its seeds one after another, and at once; each the best of some rounds.

    seconds: that it took to find out. pictures: the data set's, or made-up ones where it isn't prepared.
    """

    arch: str
    batch_size: int
    seeds: int
    alone: float
    together: float
    seconds: float
    pictures: str
    device: str


def headline(join: str) -> str:
    """The override of Table 2's grid to one side of its ViT-Lite-7/4 on CIFAR-10."""
    axes = f"arch: [vit_lite_7_4], pe: [learnable], join: [{join}], dataset: [cifar10]"
    return f"blocks=[{{recipe: compact_transformers_cifar10, axes: {{{axes}}}}}]"


def seeds_of(grid: str, overrides: Sequence[str], count: int) -> list[Trial]:
    """So many seeds of the first cell of a grid."""
    first = load_grid(GRIDS / f"{grid}.yaml", overrides).expand().trials[0]
    return [replace(first, seed_index=seed) for seed in range(count)]


def prepared(dataset: Dataset) -> bool:
    """Whether its pictures are there."""
    return load_meta(dataset.name, data_root()) is not None


def pictures(dataset: Dataset) -> tuple[Images, Images]:
    """To train and to test on: the data set's, or as many made-up ones where it isn't prepared."""
    if prepared(dataset):
        return load_images(dataset, "train", data_root()), load_images(dataset, "test", data_root())
    return made_up(dataset, dataset.train_images), made_up(dataset, dataset.test_images)


def stacked(grid: str, seeds: int, device: str) -> Stacked:
    """The first cell of a grid, by `Attempt.pace`, which also decides in a run."""
    trials = seeds_of(grid, [headline("lape")] if grid == HEADLINE else [], seeds)
    first, machine = trials[0], Machine(data_root(), device)
    train, test = pictures(first.dataset)
    began = time.perf_counter()
    alone, together = (Attempt(part, machine, machine.torch_device(), train, test) for part in (trials[:1], trials))
    with process_for(alone.device, machine, alone.compiled):
        paces = [(seconds_per_step(alone), seconds_per_step(together)) for _ in range(1 if alone.compiled else ROUNDS)]
    size = first.recipe.batch_size
    one, all_ = (min(values) for values in zip(*paces, strict=True))
    shown = first.dataset.name if prepared(first.dataset) else "made up"
    return Stacked(
        first.arch.name, size, seeds, size / one, seeds * size / all_,
        time.perf_counter() - began, shown, alone.environment.device,
    )  # fmt: skip


def main(device: str, seeds: int, grids: Sequence[str] = (SMALL, HEADLINE)) -> list[Stacked]:
    """A tiny model on 8 × 8 pixels, and ViT-Lite-7/4 on CIFAR-10."""
    return [stacked(grid, seeds, device) for grid in grids]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Seeds of a cell trained at once against one after another.")
    parser.add_argument("grids", nargs="*", default=(SMALL, HEADLINE))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seeds", type=int, default=5)
    asked = parser.parse_args()
    print(json.dumps([asdict(row) for row in main(asked.device, asked.seeds, asked.grids)], indent=1))

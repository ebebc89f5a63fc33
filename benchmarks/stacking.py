"""Compares seeds of a cell trained together with seeds trained one after another.

Run `python -m benchmarks.stacking --device cuda --seeds 10`.
"""

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
ROUNDS = 2  # timing rounds; one if the model is compiled first
SMALL, HEADLINE = "quickstart", "table2"


@dataclass(frozen=True)
class Stacked:
    """The throughput of one cell.

    Args:
        arch: the architecture.
        batch_size: images per batch of one seed.
        seeds: the number of seeds.
        alone: images per second of the seeds trained one after another, best of several rounds.
        together: images per second of all seeds trained together, best of several rounds.
        seconds: the duration of the measurement.
        pictures: whether the images are the data set's or synthetic.
        device: the name of the device.
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
    """Return the override that reduces Table 2's grid to one side of its ViT-Lite-7/4 on CIFAR-10."""
    axes = f"arch: [vit_lite_7_4], pe: [learnable], join: [{join}], dataset: [cifar10]"
    return f"blocks=[{{recipe: compact_transformers_cifar10, axes: {{{axes}}}}}]"


def seeds_of(grid: str, overrides: Sequence[str], count: int) -> list[Trial]:
    """Return trials of the first cell of a grid, with seed indices from 0 to `count` - 1."""
    first = load_grid(GRIDS / f"{grid}.yaml", overrides).expand().trials[0]
    return [replace(first, seed_index=seed) for seed in range(count)]


def prepared(dataset: Dataset) -> bool:
    """Return whether a data set is prepared on this machine."""
    return load_meta(dataset.name, data_root()) is not None


def pictures(dataset: Dataset) -> tuple[Images, Images]:
    """Return the training and the test images of a data set, or as many synthetic ones if it isn't prepared."""
    if prepared(dataset):
        return load_images(dataset, "train", data_root()), load_images(dataset, "test", data_root())
    return made_up(dataset, dataset.train_images), made_up(dataset, dataset.test_images)


def stacked(grid: str, seeds: int, device: str) -> Stacked:
    """Measure the first cell of a grid with `Attempt.pace`, which `lape run` also uses to decide on stacking."""
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
    """Measure the named grids: by default a tiny model on 8 × 8 pixels, and ViT-Lite-7/4 on CIFAR-10."""
    return [stacked(grid, seeds, device) for grid in grids]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Seeds of a cell trained at once against one after another.")
    parser.add_argument("grids", nargs="*", default=(SMALL, HEADLINE))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seeds", type=int, default=5)
    asked = parser.parse_args()
    print(json.dumps([asdict(row) for row in main(asked.device, asked.seeds, asked.grids)], indent=1))

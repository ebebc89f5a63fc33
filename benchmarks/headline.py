"""Times some epochs of Table 2's ViT-Lite-7/4 on CIFAR-10, and extrapolates to the complete recipe.

Both sides are timed, each with five seeds trained together. Run `python -m benchmarks.headline --device cuda`.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass

from benchmarks.stacking import HEADLINE, headline, pictures, prepared, seeds_of
from suite.train.attempt import Attempt
from suite.train.heartbeat import Heartbeat
from suite.train.machine import Machine
from suite.train.one_attempt import process_for

SEEDS, SIDES = 5, ("default", "lape")
SHORT = ("recipe.epochs=5", "recipe.warmup_epochs=1", "recipe.cooldown_epochs=0")


@dataclass(frozen=True)
class Timed:
    """The timing of one side.

    Args:
        join: the joining method of the side.
        seeds: the number of seeds trained together.
        first_epoch: seconds of the first epoch, which includes compilation.
        epoch: seconds of a later epoch, with its test.
        images_per_second: training throughput of all seeds together, without the tests.
        epochs: epochs of the complete recipe.
        pictures: whether the images are the data set's or synthetic.
        device: the name of the device.
    """

    join: str
    seeds: int
    first_epoch: float
    epoch: float
    images_per_second: float
    epochs: int
    pictures: str
    device: str

    @property
    def minutes(self) -> float:
        """The extrapolated duration of the complete recipe, in minutes."""
        return (self.first_epoch + (self.epochs - 1) * self.epoch) / 60


class _Starts(Heartbeat):
    """Receives progress updates, and notes when the first steps of each epoch are finished."""

    def __init__(self) -> None:
        super().__init__([], None)
        self.at: dict[int, float] = {}

    def trains(self, epochs: int, steps: int, device: str) -> None:
        """Ignore the start of the training run."""

    def stepped(self, epoch: int, steps: int, images: int) -> None:
        """Note the time of the first update of each epoch."""
        self.at.setdefault(epoch, time.perf_counter())


def timed(join: str, device: str) -> Timed:
    """Train and time some epochs of five seeds together, as `lape run` trains them."""
    whole = seeds_of(HEADLINE, [headline(join)], 1)[0].recipe
    trials = seeds_of(HEADLINE, [headline(join), *SHORT], SEEDS)
    machine, dataset = Machine(device=device, compiled=True), trials[0].dataset
    attempt = Attempt(trials, machine, machine.torch_device(), *pictures(dataset))
    attempt.heart = starts = _Starts()
    began = time.perf_counter()
    with process_for(attempt.device, machine, attempt.compiled):
        attempt.train()
    last = max(starts.at)
    return Timed(
        join=join,
        seeds=SEEDS,
        first_epoch=starts.at[1] - began,
        epoch=(starts.at[last] - starts.at[1]) / (last - 1),
        images_per_second=max(
            dataset.train_images / record.seconds for member in attempt.members for record in member.history
        ),
        epochs=whole.total_epochs,
        pictures=dataset.name if prepared(dataset) else "made up",
        device=attempt.environment.device,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Time some epochs of Table 2's ViT-Lite-7/4.")
    parser.add_argument("joins", nargs="*", default=SIDES)
    parser.add_argument("--device", default="auto")
    asked = parser.parse_args()
    print(json.dumps([asdict(timed(join, asked.device)) for join in asked.joins], indent=1))

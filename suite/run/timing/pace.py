"""How long training runs take: what runs and calibrations have measured, in seconds per image.

A training run's time is that of the images it trains on plus that of the images it tests. So a run of another length,
or on a larger part of the same data, is informative too. What an image costs depends on the model, the recipe, the
device, the precision and the number of threads: a pace holds for these alone. Joining methods and seeds cost nearly
nothing (`lape bench` measures how much), so they share a pace.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from suite.data.datasets import DATASETS, Dataset
from suite.store.canonical import fingerprint

if TYPE_CHECKING:
    from suite.grid.trial import Trial
    from suite.store.record import RunRecord

# Keys of a recipe without a part in what an image costs: how many there are, and numbers in the optimiser.
_COSTLESS = frozenset({
    "version", "epochs", "cooldown_epochs", "train_images", "test_every",
    "lr", "min_lr", "warmup", "warmup_epochs", "warmup_lr", "warmup_prefix", "schedule_unit", "schedule_lag",
    "weight_decay", "decay_all", "decay_position", "betas", "eps", "label_smoothing",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Device:
    """Where and in which precision a pace was measured: it holds for no other.

    Args:
        name: Of the GPU, or of the processor.
        gpu: Whether it is a GPU.
        precision: fp32, bf16 or fp16; empty where the device stands for all its precisions (see `place`).
        threads: CPU threads per trial; 0 on a GPU.
    """

    name: str
    gpu: bool
    precision: str
    threads: int

    @property
    def place(self) -> Device:
        """The same device, whatever the precision."""
        return replace(self, precision="")

    def computes(self, wanted: str) -> bool:
        """Whether a recipe's `precision` (auto, fp32 or bf16) means this device's: as training chooses it."""
        if wanted == "auto":
            return (self.precision != "fp32") == self.gpu
        return self.precision == wanted or (wanted == "bf16" and self.gpu and self.precision == "fp16")

    @property
    def label(self) -> str:
        """It in words."""
        threads = "" if self.gpu else f", {self.threads} thread{'s' if self.threads > 1 else ''}"
        return f"{self.name}, {self.precision}{threads}"

    @property
    def unit(self) -> str:
        """What its hours are counted in."""
        return "GPU-hours" if self.gpu else "core-hours"

    def hours(self, seconds: float) -> float:
        """Of one worker's time: GPU-hours (of a trial with a whole GPU), or those of its cores."""
        return seconds / 3600 * (1 if self.gpu else self.threads)


@dataclass(frozen=True, slots=True)
class Kind:
    """What the pace of a trial depends on, hashed. model: without the PE and the recipe, for want of a better match."""

    whole: str
    model: str


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds per image that is trained on, and per image that is tested, both with all that goes with them.

    start_up: seconds of a trial before its first step, if they were measured. at: when.
    """

    kind: Kind
    device: Device
    train: float
    test: float
    at: str
    start_up: float | None = None
    calibrated: bool = False


@dataclass(frozen=True, slots=True)
class Work:
    """How many images a training takes its steps on, and how many it tests."""

    trained: int
    tested: int

    def seconds(self, pace: Pace) -> float:
        """How long that takes."""
        return self.trained * pace.train + self.tested * pace.test


def kind_of(config: Mapping[str, Any]) -> Kind:
    """The kind of a trial's or a record's config."""
    axes, recipe = config["axes"], config["recipe"]
    named = ("arch", "norm", "loss", "dataset")
    others = [axes[name] for name in sorted(axes) if name not in (*named, "pe", "join")]  # a join costs next to nothing
    model = [*(axes[name] for name in named), *others]
    costs = {key: value for key, value in recipe.items() if key not in _COSTLESS}
    return Kind(fingerprint([*model, axes["pe"], costs]), fingerprint(model))


def work_of(trial: Trial) -> Work:
    """The work of a trial."""
    recipe, dataset = trial.recipe, trial.dataset
    images = _of_epoch(recipe.train_images or dataset.train_images, recipe.batch_size)
    epochs = recipe.total_epochs
    return Work(epochs * images, math.ceil(epochs / recipe.test_every) * dataset.test_images)


def _of_epoch(images: int, batch_size: int) -> int:
    return images // batch_size * batch_size


class Paces:
    """Finds the paces of records. datasets: those that a grid declares itself."""

    def __init__(self, datasets: Iterable[Dataset] = ()) -> None:
        self._datasets = {dataset.name: dataset for dataset in datasets}
        self._kinds: dict[str, Kind] = {}  # by cell: its seeds share it

    def of_record(self, record: RunRecord) -> Pace | None:
        """The pace of a run; None if it isn't done, or its data set is unknown."""
        return self.of_run({**vars(record), "environment": vars(record.environment)})

    def of_run(self, values: Mapping[str, Any]) -> Pace | None:
        """The pace of a done run, from the values of its record as JSON has them."""
        seconds, speed, name = values["train_seconds"], values["images_per_second"], values["dataset"]
        dataset = self._datasets.get(name) or dict(DATASETS).get(name)  # its own `get` raises
        if not seconds or not speed or dataset is None:
            return None
        config, environment, epochs = values["config"], values["environment"], values["epochs"]
        recipe, cell = config["recipe"], values["cell_id"]
        if cell not in self._kinds:
            self._kinds[cell] = kind_of(config)
        trained = epochs * _of_epoch(recipe.get("train_images") or dataset.train_images, recipe["batch_size"])
        training = min(trained / speed, seconds)
        tested = math.ceil(epochs / recipe["test_every"]) * dataset.test_images
        if not trained or not tested:
            return None
        return Pace(
            self._kinds[cell],
            device_of(environment),
            train=training / trained,
            test=(seconds - training) / tested,
            at=values["started_at"],
        )


def device_of(environment: Mapping[str, Any]) -> Device:
    """The device of a record's environment."""
    gpu = environment["device"] != "cpu"
    name = environment["device"] if gpu else environment["processor"] or "cpu"
    return Device(name, gpu, environment["precision"], 0 if gpu else environment["threads"])

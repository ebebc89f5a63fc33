"""Paces: the time of training runs in seconds per image, measured by runs and calibrations.

The time of a training run is modelled as the time of the images it trains on plus the time of the images it tests. So a
pace also applies to runs with another number of epochs, or on another part of the same data. It applies only to the
same model, recipe, device, precision and number of threads. Joining methods (`lape bench` measures their cost) and
seeds make almost no difference, so they share a pace.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from suite.data.datasets import DATASETS, Dataset
from suite.grid.settings import SCALES
from suite.store.canonical import fingerprint
from suite.store.held_out import count_validation
from suite.store.tested_epochs import count_tests

if TYPE_CHECKING:
    from suite.grid.trial import Trial
    from suite.store.record import RunRecord

# Recipe keys that don't change the time per image: they set the number of images, or values in the optimiser.
_COSTLESS = frozenset({
    "version", "epochs", "cooldown_epochs", "train_images", "test_every", "validation", "validation_by_seed", "vary",
    "corruptions",
    "momentum", "decay", "decay_power",
    "lr", "min_lr", "warmup", "warmup_epochs", "warmup_lr", "warmup_prefix", "schedule_unit", "schedule_lag",
    "weight_decay", "decay_all", "decay_position", "betas", "eps", "label_smoothing",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Device:
    """The device and precision of a pace. The pace applies only to these.

    Args:
        name: The name of the GPU or of the processor.
        gpu: Whether it is a GPU.
        precision: fp32, bf16 or fp16; empty: any precision (see `place`).
        threads: CPU threads per trial; 0 on a GPU.
    """

    name: str
    gpu: bool
    precision: str
    threads: int

    @property
    def place(self) -> Device:
        """The same device with any precision."""
        return replace(self, precision="")

    def computes(self, wanted: str) -> bool:
        """Whether training with a recipe's `precision` (auto, fp32 or bf16) uses this device's precision."""
        if wanted == "auto":
            return (self.precision != "fp32") == self.gpu
        return self.precision == wanted or (wanted == "bf16" and self.gpu and self.precision == "fp16")

    @property
    def label(self) -> str:
        """The device, precision and threads in words."""
        threads = "" if self.gpu else f", {self.threads} thread{'s' if self.threads > 1 else ''}"
        return f"{self.name}, {self.precision}{threads}"

    @property
    def unit(self) -> str:
        """The unit of `hours`."""
        return "GPU-hours" if self.gpu else "core-hours"

    def hours(self, seconds: float) -> float:
        """Convert one worker's time to GPU-hours, if it uses a whole GPU, or to core-hours."""
        return seconds / 3600 * (1 if self.gpu else self.threads)


@dataclass(frozen=True, slots=True)
class Kind:
    """Hashes of everything in a trial's config that its pace depends on.

    `whole` covers all of it. `model` excludes the position embedding (PE) and the recipe. It is used if no pace matches
    `whole`.
    """

    whole: str
    model: str


@dataclass(frozen=True, slots=True)
class Pace:
    """A measured speed.

    Args:
        kind: The kind of trial.
        device: The device and precision.
        train: Seconds per training image, including all overhead.
        test: Seconds per test image, including all overhead.
        at: The time of the measurement, in UTC.
        start_up: Seconds of a trial before its first step; None: not measured.
        calibrated: Whether a calibration measured it, not a run.
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
    """The numbers of images that a training run trains on and tests, summed over its epochs."""

    trained: int
    tested: int

    def seconds(self, pace: Pace) -> float:
        """The estimated seconds of this work at a pace."""
        return self.trained * pace.train + self.tested * pace.test


def kind_of(config: Mapping[str, Any]) -> Kind:
    """The kind of a trial or a record, from its config."""
    axes, recipe = dict(config["axes"]), config["recipe"]
    if isinstance(axes["arch"], Mapping):
        axes["arch"] = {key: value for key, value in axes["arch"].items() if key not in SCALES}
    named = ("arch", "norm", "loss", "dataset")
    others = [axes[name] for name in sorted(axes) if name not in (*named, "pe", "join")]  # a joining method is cheap
    model = [*(axes[name] for name in named), *others]
    costs = {key: value for key, value in recipe.items() if key not in _COSTLESS}
    return Kind(fingerprint([*model, axes["pe"], costs]), fingerprint(model))


def work_of(trial: Trial) -> Work:
    """The work of a trial: images that it trains on and tests over all epochs."""
    return _work(trial.recipe.model_dump(), trial.epochs, trial.dataset)


def _work(recipe: Mapping[str, Any], epochs: int, dataset: Dataset) -> Work:
    """The work of so many epochs.

    An evaluation takes the test images and those that are held out for validation. The last one takes the corrupted
    copies too.
    """
    images, batch_size = recipe.get("train_images") or dataset.train_images, recipe["batch_size"]
    held_out = count_validation(recipe.get("validation"), images)
    trained = max(images - held_out, 0) // batch_size * batch_size
    tested = count_tests(recipe["test_every"], epochs) * (dataset.test_images + held_out)
    if (copies := recipe.get("corruptions")) is not None:
        tested += len(copies["kinds"]) * len(copies["severities"]) * (copies["images"] or dataset.test_images)
    return Work(epochs * trained, tested)


_SHORTEST = 1e-6  # seconds of a training run; a shorter time wasn't measured


class Paces:
    """Computes paces from records. `datasets` are those that a grid declares itself."""

    def __init__(self, datasets: Iterable[Dataset] = ()) -> None:
        self._datasets = {dataset.name: dataset for dataset in datasets}
        self._kinds: dict[str, Kind] = {}  # by cell; all seeds of a cell have the same kind

    def of_record(self, record: RunRecord) -> Pace | None:
        """The pace of a record's run; None if the run isn't done or its data set is unknown."""
        return self.of_run({**vars(record), "environment": vars(record.environment)})

    def of_run(self, values: Mapping[str, Any]) -> Pace | None:
        """The pace of a run, from its record as JSON values; None if times are missing or its data set is unknown."""
        seconds, speed, name = values["train_seconds"], values["images_per_second"], values["dataset"]
        dataset = self._datasets.get(name) or dict(DATASETS).get(name)  # its own `get` raises
        if not seconds or not speed or dataset is None:
            return None
        config, environment, epochs = values["config"], values["environment"], values["epochs"]
        recipe, cell = config["recipe"], values["cell_id"]
        if cell not in self._kinds:
            self._kinds[cell] = kind_of(config)
        if recipe.get("batch_size") is None or recipe.get("test_every") is None:  # of other code, or damaged
            return None
        work = _work(recipe, epochs, dataset)
        training = min(work.trained / speed, seconds)
        if not work.trained or not work.tested or seconds < _SHORTEST:
            return None
        return Pace(
            self._kinds[cell],
            device_of(environment),
            train=training / work.trained,
            test=(seconds - training) / work.tested,
            at=values["started_at"],
        )


def device_of(environment: Mapping[str, Any]) -> Device:
    """The device and precision of a run, from the environment in its record."""
    gpu = environment["device"] != "cpu"
    name = environment["device"] if gpu else environment["processor"] or "cpu"
    return Device(name, gpu, environment["precision"], 0 if gpu else environment["threads"])

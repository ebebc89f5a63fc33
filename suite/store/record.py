"""The record of a training run. Its field names are public."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from suite.store.held_out import parse_validation
from suite.store.task_fields import OF_SOME, check_task_fields
from suite.store.tested_epochs import parse_test_every

if TYPE_CHECKING:
    import numpy as np  # imported where bits are packed: a status does without it
    import numpy.typing as npt

SCHEMA_VERSION = 3


def _say_where(values: dict[str, Any]) -> dict[str, Any]:
    """Version 2 added the machine and the number of attempts, which older records don't know."""
    return {**values, "node": None, "attempts": 1}


def _say_code(values: dict[str, Any]) -> dict[str, Any]:
    """Version 3 added the fingerprints of the levels' code, which older records don't know."""
    return {**values, "code": None}


# From version n to n + 1: each function rewrites the JSON object of one record.
MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _say_where, 2: _say_code}

Status = Literal["done", "diverged", "error", "timeout", "oom"]
AXIS_FIELDS = ("dataset", "arch", "pe", "join", "norm", "loss")  # in the order of tables
LOSS_KEYS = ("cosine_weight", "contrastive_weight", "mixing_weight")  # recipe keys that belong to the loss axis
_DATASET_LAST = tuple(sorted(AXIS_FIELDS, key="dataset".__eq__))
USUAL_LEVELS: Mapping[str, str] = {"norm": "ln", "loss": "default"}  # what a cell has unless its grid names another
# Axes that are younger than some records: at the usual level they are no part of a config, so that ids don't change.
LATER_AXES: frozenset[str] = frozenset()
FAILURES: tuple[Status, ...] = ("diverged", "error", "timeout", "oom")

# Fields that differ between two runs of the same trial on machines of the same kind.
VOLATILE = ("started_at", "train_seconds", "images_per_second", "peak_memory_mb", "node", "attempts")
# Fields that two runs of the same trial may differ in: besides those, where they were made and what people call them.
_NAMES = ("schema_version", "environment", "history", "grid", "recipe", "arch")

MOST = 1e12  # of times, speeds and megabytes: 1e12 seconds are 30,000 years
MOST_FINITE = 1e39  # of losses: more than any number of fp32, in which they are computed
MOST_SIMILAR = 1.001  # of a mean of |cos|, with its rounding

Id = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
# Nothing that could steer a terminal, or show a line in another order than it is written.
Name = Annotated[str, Field(pattern=r"^[^\p{Cc}\x{61c}\x{200e}\x{200f}\x{2028}-\x{202e}\x{2066}-\x{2069}]*$")]
Moment = Annotated[str, Field(pattern=r"^[0-9T:+.Z-]*$", max_length=40)]
Count = Annotated[int, Field(ge=0, lt=2**63)]  # what a column of a frame holds
Small = Annotated[int, Field(ge=0, lt=2**31)]
Finite = Annotated[float, Field(ge=-MOST_FINITE, le=MOST_FINITE)]
Severity = Annotated[str, Field(pattern=r"^[1-9]$")]
Percent = Annotated[float, Field(ge=0, le=100)]
NotNegative = Annotated[float, Field(ge=0, le=MOST)]


# What a record and its config name alike; of the architecture the config has the sizes.
_LEVELS = tuple(name for name in _DATASET_LAST if name != "arch")
_POSITIVE = ("batch_size", "train_images")  # numbers of a recipe that a run's time is divided by


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Environment(_Model):
    """Where a run was made. Runs whose `group` differs may differ in their last digits, or more."""

    torch: Name = Field(description="version of torch")
    device: Name = Field(description="'cpu', or the GPU's name")
    precision: Name = Field(description="fp32, bf16 or fp16: what was used, not what was asked for")
    python: Name = Field(description="version of Python")
    platform: Name = Field(description="operating system and machine type")
    processor: Name = Field(description="model of the CPU")
    threads: Small = Field(description="CPU threads")
    suite: Name = Field(description="version of this package")
    commit: Name | None = Field(description="git commit of the code, with '+dirty' if it had local changes")
    compiled: bool = Field(default=False, description="whether torch.compile made the training step")
    stacked: Small = Field(default=1, description="seeds that were trained together; times are divided among them")
    micro_batch: Count | None = Field(default=None, description="images per forward pass, if fewer than the batch")
    processes: Small = Field(default=1, description="processes that trained it, each on a part of every batch")
    timm: Name | None = Field(default=None, description="the version of timm, if the model is one of timm's")

    @property
    def group(self) -> str:
        """What both sides of a contrast must share to be compared without a footnote."""
        libraries = f"torch {self.torch}" if self.timm is None else f"torch {self.torch}, timm {self.timm}"
        return f"{libraries}, {self.device}, {self.precision}"


class Epoch(_Model):
    """One epoch of a training run."""

    epoch: Small = Field(description="number of the epoch, from 0")
    lr: Finite = Field(description="learning rate of its first step")
    train_loss: Finite = Field(description="mean over training images")
    top1: Percent | None = Field(description="test accuracy in percent; null if not tested")
    test_loss: Finite | None = Field(description="mean over test images; null if not tested")
    seconds: NotNegative = Field(description="seconds of training, without the test")
    validation_top1: Percent | None = Field(default=None, description="accuracy in percent, of validation images")
    validation_loss: Finite | None = Field(default=None, description="mean over validation images")
    similarity: tuple[Annotated[float, Field(ge=0, le=MOST_SIMILAR)], ...] | None = Field(
        default=None, description="of a transformer: mean |cos| between patches of a test image, after each block"
    )


def run_name(levels: Mapping[str, Any], seed_index: int, settings: Sequence[str] = ()) -> str:
    """A run's name for people, without the usual norm and loss.

    Args:
        levels: the level of each axis in `AXIS_FIELDS`.
        seed_index: the run's seed index.
        settings: the recipe's settings that are axes of the grid, such as "lr=0.001". A record doesn't tell them.
    """
    told = [str(levels[axis]) for axis in _DATASET_LAST if levels[axis] != USUAL_LEVELS.get(axis)]
    return " ".join([*told, *settings, f"seed {seed_index}"])


class RunRecord(_Model):
    """The outcome of a training run. Numbers that a failed run doesn't have are null, never zero."""

    schema_version: int = Field(default=SCHEMA_VERSION, description="version of this list of fields")
    trial_id: Id = Field(description="hash of the config: names the training run")
    cell_id: Id = Field(description="hash of the config without the seed index: names the cell")
    grid: Name = Field(description="name of the grid that ran it")
    status: Status = Field(description="how it ended")

    arch: Name = Field(description="architecture")
    pe: Name = Field(description="position embedding")
    join: Name = Field(description="joining method")
    norm: Name = Field(description="norm")
    loss: Name = Field(description="loss")
    dataset: Name = Field(description="data set")
    recipe: Name = Field(description="recipe, with the settings that the grid changes")
    seed_index: Count = Field(description="runs with the same number are pairs")

    epochs: Small = Field(description="epochs completed")
    top1: Percent | None = Field(
        default=None,
        description="percent, test set, last epoch; of a segmentation, of its labelled pixels; of regions, covering",
    )
    top1_best_epoch: Percent | None = Field(default=None, description="percent, best epoch on the test set: optimistic")
    test_loss: Finite | None = Field(default=None, description="mean over test images, last epoch")
    params: Count | None = Field(default=None, description="parameters of the model")
    macs: Count | None = Field(default=None, description="multiply-accumulates of one image")

    train_seconds: NotNegative | None = Field(default=None, description="seconds of training and tests, without set-up")
    images_per_second: NotNegative | None = Field(default=None, description="training images per second, without tests")
    peak_memory_mb: NotNegative | None = Field(
        default=None, description="largest memory: of the GPU, or of the process on a CPU"
    )
    started_at: Moment = Field(description="UTC, ISO 8601")
    node: Name | None = Field(default=None, description="the machine's name, without its domain; never an address")
    attempts: Small = Field(default=1, description="number of attempts: more than one after infrastructure errors")
    machine_fault: bool = Field(default=False, description="whether it failed from an infrastructure error")
    environment: Environment = Field(description="where it ran: see below")

    test_images: Count | None = Field(default=None, description="number of test images")
    validation_images: Count | None = Field(default=None, description="training images held out; absent: none")
    validation_top1: Percent | None = Field(default=None, description="percent, validation images, last epoch")
    validation_top1_best_epoch: Percent | None = Field(default=None, description="percent, their best epoch")
    top1_best_validation: Percent | None = Field(
        default=None, description="percent, test set, in the first epoch that is best on the validation images"
    )
    corruption_error: Percent | None = Field(
        default=None, description="percent, a mean over kinds and severities of corruption; absent: not tested"
    )
    corruption_errors: dict[Name, dict[Severity, Percent]] | None = Field(
        default=None, description="percent, by kind of corruption and severity"
    )
    corruption_images: Count | None = Field(default=None, description="number of test images with corrupted copies")
    corruption_wrong: str | None = Field(
        default=None, description="wrong answers to the copies of each image: a byte each, base64"
    )
    corruption_data: Id | None = Field(default=None, description="checksum of the corrupted copies")
    miou: Percent | None = Field(
        default=None, description="of a segmentation: mean intersection over union, percent, test set, last epoch"
    )
    class_iou: tuple[Percent | None, ...] | None = Field(
        default=None, description="by class, percent; null for a class that no test image has"
    )
    pixel_counts: str | None = Field(
        default=None,
        description="by image and class: pixels that are correct, labelled so, predicted so; see the source of "
        "suite.store.segmentation",
    )
    covering: Percent | None = Field(
        default=None,
        description="of regions: covering of those of annotators, percent, a mean over annotators and test images",
    )
    rand_index: Percent | None = Field(default=None, description="likewise, the probabilistic Rand index, percent")
    variation_of_information: NotNegative | None = Field(
        default=None, description="likewise, the variation of information, bits; lower is better"
    )
    regions: NotNegative | None = Field(default=None, description="regions of a test image, a mean")
    region_measures: str | None = Field(
        default=None,
        description="by test image: these four; see the source of suite.store.regions",
    )
    correct: str | None = Field(default=None, description="per-image correctness: packed bits, base64")
    diverged_step: Count | None = Field(default=None, description="the step, from 0, whose loss was not finite")
    error: str | None = Field(default=None, description="the end of the last traceback")
    config: dict[str, Any] = Field(description="what the trial id is the hash of")
    code: dict[Name, Id] | None = Field(
        default=None, description="by axis, the fingerprint of the level's code; null if it isn't known"
    )
    history: tuple[Epoch, ...] | None = Field(default=None, description="kept in history.parquet once collected")

    _code_now: dict[str, str] | None = PrivateAttr(default=None)

    @property
    def code_now(self) -> dict[str, str] | None:
        """`code`, or newer code that was shown to give the same results (see `suite.store.same_code`)."""
        return self.code if self._code_now is None else self._code_now

    def stand_for(self, code: dict[str, str]) -> None:
        """Set the newer code that was shown to give the same results. No field of the record changes."""
        self._code_now = code

    @model_serializer(mode="wrap")
    def _present(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what only some runs have, so that other records stay as they were."""
        values: dict[str, Any] = whole(self)
        return {name: value for name, value in values.items() if value is not None or name not in OF_SOME}

    @model_validator(mode="after")
    def _whole(self) -> Self:
        for name, keys in (("axes", set(AXIS_FIELDS) - LATER_AXES), ("recipe", set[str]())):
            part = self.config.get(name)
            if not isinstance(part, dict) or not part.keys() >= keys:
                raise ValueError(f"a config that holds the trial's {name}")
        sizes = self.config["axes"]["arch"]
        if not (isinstance(sizes, dict) and sizes):
            raise ValueError("a config that holds the sizes of the trial's arch")
        axes, config_axes = {name: getattr(self, name) for name in _LEVELS}, self.config["axes"]
        changed = [name for name, level in axes.items() if config_axes.get(name, USUAL_LEVELS.get(name)) != level]
        if self.config.get("seed_index") != self.seed_index:
            changed.append("seed_index")
        if changed:
            raise ValueError(f"{', '.join(changed)} as in the config, which the trial's id is made of")
        for name in _POSITIVE:
            number = self.config["recipe"].get(name)
            if number is not None and not (type(number) is int and number > 0):
                raise ValueError(f"a recipe whose {name} is a positive integer")
        if (every := self.config["recipe"].get("test_every")) is not None:
            _parsed("test_every", parse_test_every, every)
        _parsed("validation", parse_validation, self.config["recipe"].get("validation"))
        if self.top1 is not None and self.top1_best_epoch is not None and self.top1_best_epoch < self.top1:
            raise ValueError("a best epoch that is no worse than the last one")
        best, last = self.validation_top1_best_epoch, self.validation_top1
        if best is not None and last is not None and best < last:
            raise ValueError("a best epoch on the validation images that is no worse than the last one")
        check_task_fields(self)
        if self.status == "done" and (self.top1 is None or self.top1_best_epoch is None or not self.epochs):
            raise ValueError("an accuracy and epochs of a run that is done")
        return self


def _parsed(name: str, parse: Callable[[object], object], value: object) -> None:
    try:
        parse(value)
    except ValueError as error:
        raise ValueError(f"a recipe whose {name} is {error}") from None


def differences(one: RunRecord, other: RunRecord) -> dict[str, tuple[Any, Any]]:
    """The fields in which two records of one trial contradict each other, with both values.

    All fields must match but times, the machine, and the names that people chose. Code that was shown to give the same
    results matches (`RunRecord.code_now`).
    """
    ignored = {*VOLATILE, *_NAMES}
    pairs = {name: (getattr(one, name), getattr(other, name)) for name in RunRecord.model_fields if name not in ignored}
    pairs["code"] = one.code_now, other.code_now
    if None in pairs["code"]:  # an older record, which may be of any code
        del pairs["code"]
    return {name: values for name, values in pairs.items() if values[0] != values[1]}


def pack_bits(correct: npt.NDArray[np.bool_]) -> str:
    """A bit per test image, in canonical order, as base64."""
    import numpy as np

    return base64.b64encode(np.packbits(correct).tobytes()).decode("ascii")


def unpack_bits(packed: str, count: int) -> npt.NDArray[np.bool_]:
    """The inverse of `pack_bits` for `count` images."""
    import numpy as np

    return np.unpackbits(np.frombuffer(base64.b64decode(packed), np.uint8), count=count).astype(bool)

"""Metrics: what runs are compared by, and what papers print. Each has a unit, a direction and its place in a record."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from suite.data.corruptions.settings import KINDS, SEVERITIES
from suite.data.tasks import TaskName
from suite.errors import nearest
from suite.plain_errors import RefusedValueError
from suite.store.corruptions import severities_of

Run = Mapping[str, Any]  # a row of the frame


class Reference(BaseModel):
    """The errors that count as 100 % of a mean corruption error, such as AlexNet's on ImageNet-C."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    name: str = Field(min_length=1, description="whose errors they are, and on which images")
    errors: dict[str, Annotated[float, Field(gt=0, le=100)]] = Field(
        min_length=1, description="percent, by kind of corruption: a mean over the severities"
    )
    severities: tuple[int, ...] = Field(default=SEVERITIES, strict=False, description="the severities of the mean")

    @model_validator(mode="after")
    def _known(self) -> Self:
        for kind in self.errors:
            if kind not in KINDS:
                raise RefusedValueError(expected="a kind of corruption", found=repr(kind), fix=nearest(kind, KINDS))
        if not self.severities or not set(self.severities) <= set(SEVERITIES):
            raise ValueError(f"severities from {SEVERITIES[0]} to {SEVERITIES[-1]}")
        return self

    def relative(self, errors: Mapping[str, float]) -> float:
        """The mean over kinds of error / reference error, in percent (Hendrycks and Dietterich 2019, section 4)."""
        return sum(100 * error / self.errors[kind] for kind, error in errors.items()) / len(errors)


@dataclass(frozen=True)
class Metric:
    """A quantity that runs are compared by, or that a paper prints.

    Args:
        summary: what is measured, with its unit.
        most: the largest valid value.
        tested: whether verdicts can be about it.
        better: which values are better. A gain is positive if the treatment is better.
        title: what it is called in a report.
        read: reads the value from a finished run; NaN if the run doesn't have it. None: no record has it.
        at_accuracy: the value of a model whose every answer is right with this probability, in percent.
        of_last_epoch: whether it is of the model after the last epoch by definition.
        items: the evidence that a record keeps for each test image: whether the answer is right, or how many answers to
            its corrupted copies are wrong, or how many pixels of each class are correct, or measures of its regions;
            empty: none that says how much single images add to this metric.
        missing: why a run may not have it, for messages.
        unit: of differences, in the plural.
        task: the only task whose runs have it; None: those of any task may.
    """

    summary: str
    most: float
    tested: bool = False
    better: Literal["higher", "lower"] = "higher"
    title: str = ""
    read: Callable[[Run, Reference | None], float] | None = None
    at_accuracy: Callable[[float, Reference | None], float] = lambda accuracy, _: accuracy
    of_last_epoch: bool = False
    items: Literal["", "correct", "wrong_copies", "pixel_counts", "region_measures"] = ""
    missing: str = ""
    unit: Literal["points", "bits"] = "points"
    task: TaskName | None = None

    @property
    def percent(self) -> bool:
        """Whether differences are percentage points."""
        return self.unit == "points" and (self.most == 100 or self.read is not None)

    @property
    def sign(self) -> int:
        """What turns a difference of two values, treatment minus baseline, into a gain."""
        return 1 if self.better == "higher" else -1

    @property
    def suffix(self) -> str:
        """What follows a difference where its unit isn't percentage points, which are understood."""
        return "" if self.unit == "points" else f" {self.unit}"

    @property
    def note(self) -> str:
        """What a sentence says after a claimed gain, where lower is better; empty otherwise."""
        return f" ({self.unit} less {self.title})" if self.better == "lower" else ""


def _column(name: str) -> Callable[[Run, Reference | None], float]:
    def read(run: Run, _: Reference | None) -> float:
        value = run.get(name)
        return math.nan if value is None else float(value)

    return read


def _mce(run: Run, reference: Reference | None) -> float:
    text = run.get("corruption_errors")
    if reference is None or not isinstance(text, str):
        return math.nan
    errors = json.loads(text)
    if set(errors) != set(reference.errors) or severities_of(errors) != tuple(map(str, reference.severities)):
        return math.nan
    return reference.relative({kind: sum(found.values()) / len(found) for kind, found in errors.items()})


def _mce_at(accuracy: float, reference: Reference | None) -> float:
    kinds = KINDS if reference is None else reference.errors
    error = 100 - accuracy
    return error if reference is None else reference.relative(dict.fromkeys(kinds, error))


_BEST = "top-1 of the best epoch (optimistic)"
_UNTESTED = "the runs weren't tested on corrupted images: their recipe has no corruptions"
_NO_MASKS = "the runs segment no images: their data set has no masks"
_NO_REGIONS = "the runs group no patches: their data set has no regions"
_MOST_BITS = 24.0  # of the variation of information: log2 of the pixels of the largest image, 4096 × 4096

METRICS: Mapping[str, Metric] = {
    "top1": Metric(
        "top-1 in percent, of the last epoch or of the one that is named",
        100,
        tested=True,
        title="top-1 of the last epoch",
        read=_column("top1"),
        of_last_epoch=True,
        items="correct",
    ),
    "top1_best_epoch": Metric(
        "top-1 in percent, of the best epoch on the test set",
        100,
        tested=True,
        title=_BEST,
        read=_column("top1_best_epoch"),
        items="correct",
    ),
    "corruption_error": Metric(
        "error on corrupted test images in percent, a mean over kinds and severities",
        100,
        tested=True,
        better="lower",
        title="corruption error",
        read=_column("corruption_error"),
        at_accuracy=lambda accuracy, _: 100 - accuracy,
        of_last_epoch=True,
        items="wrong_copies",
        missing=_UNTESTED,
        task="classification",
    ),
    "mce": Metric(
        "mean corruption error in percent of the errors of a named reference",
        1000,
        tested=True,
        better="lower",
        title="mean corruption error (mCE)",
        read=_mce,
        at_accuracy=_mce_at,
        of_last_epoch=True,
        missing=f"{_UNTESTED}, or has other kinds or severities than the reference",
        task="classification",
    ),
    "accuracy": Metric("accuracy of another task, in percent", 100),
    "box_ap": Metric("average precision of boxes, in percent", 100),
    "mask_ap": Metric("average precision of masks, in percent", 100),
    "miou": Metric(
        "mean intersection over union of a segmentation in percent, of the last epoch",
        100,
        tested=True,
        title="mean intersection over union (mIoU)",
        read=_column("miou"),
        at_accuracy=lambda accuracy, _: 100 * accuracy / (200 - accuracy),
        of_last_epoch=True,
        items="pixel_counts",
        missing=_NO_MASKS,
        task="segmentation",
    ),
    "pixel_accuracy": Metric(
        "labelled pixels of a segmentation that are correct, in percent, of the last epoch",
        100,
        tested=True,
        title="pixel accuracy",
        read=lambda run, _: math.nan if math.isnan(_column("miou")(run, None)) else _column("top1")(run, None),
        of_last_epoch=True,
        missing=_NO_MASKS,
        task="segmentation",
    ),
    "covering": Metric(
        "covering of annotators' regions by a grouping's in percent, of the last epoch",
        100,
        tested=True,
        title="covering",
        read=_column("covering"),
        of_last_epoch=True,
        items="region_measures",
        missing=_NO_REGIONS,
        task="grouping",
    ),
    "rand_index": Metric(
        "probabilistic Rand index (PRI) of a grouping into regions in percent, of the last epoch",
        100,
        tested=True,
        title="probabilistic Rand index (PRI)",
        read=_column("rand_index"),
        of_last_epoch=True,
        items="region_measures",
        missing=_NO_REGIONS,
        task="grouping",
    ),
    "variation_of_information": Metric(
        "variation of information (VoI) of a grouping into regions in bits, of the last epoch",
        _MOST_BITS,
        tested=True,
        better="lower",
        title="variation of information (VoI)",
        read=_column("variation_of_information"),
        at_accuracy=lambda accuracy, _: _MOST_BITS * (1 - accuracy / 100),
        of_last_epoch=True,
        items="region_measures",
        missing=_NO_REGIONS,
        task="grouping",
        unit="bits",
    ),
    "macs_billions": Metric("multiply-accumulates of a forward of one image, in 10⁹; papers say FLOPs", 1e6),
    "params_millions": Metric("parameters of the model, in millions", 1e6),
    "pe_params_thousands": Metric("parameters of position embedding and joining method, in thousands", 1e9),
    "train_memory_mb": Metric("GPU memory of a training, in MB", 1e9),
    "train_seconds_per_epoch": Metric("time of an epoch of training, in seconds", 1e9),
}
TESTED = tuple(name for name, metric in METRICS.items() if metric.tested)
# What runs can be compared by. The last one is of runs with a validation split, and no paper prints it.
MEASURED: Mapping[str, Metric] = {
    **{name: metric for name, metric in METRICS.items() if metric.read is not None},
    "top1_best_validation": Metric(
        "top-1 in percent, of the best epoch on the validation images",
        100,
        title=_BEST,
        read=_column("top1_best_validation"),
        items="correct",
    ),
}


def metric_of(name: str) -> Metric:
    """The metric of this name; of an unknown one, a metric that no run has."""
    return MEASURED.get(name) or METRICS.get(name) or Metric(name, 100)

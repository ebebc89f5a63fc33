"""Which corruptions of the test images a recipe asks for. Nothing here makes an image.

The kinds and severities are those of Hendrycks and Dietterich (2019, arXiv 1903.12261).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, field_validator

from suite.data.datasets import Dataset
from suite.data.settings_text import read_values, refusal
from suite.data.tasks import TASKS
from suite.errors import InputError, nearest
from suite.plain_errors import RefusedValueError

# Each kind with its group, in the paper's order.
KINDS: Mapping[str, str] = {
    "gaussian_noise": "noise",
    "shot_noise": "noise",
    "impulse_noise": "noise",
    "defocus_blur": "blur",
    "glass_blur": "blur",
    "motion_blur": "blur",
    "zoom_blur": "blur",
    "snow": "weather",
    "frost": "weather",
    "fog": "weather",
    "brightness": "weather",
    "contrast": "digital",
    "elastic_transform": "digital",
    "pixelate": "digital",
    "jpeg_compression": "digital",
}
SEVERITIES = (1, 2, 3, 4, 5)
_Name = TypeVar("_Name", str, int)
LEAST_PIXELS = 32  # of an image's side: the blurs, and the published severities, are undefined for smaller images


class Corruptions(BaseModel):
    """The corrupted copies of the test images on which a trained model is tested once."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    kinds: tuple[str, ...] = Field(
        default=tuple(KINDS), strict=False, min_length=1, description="the kinds of corruption; all 15 unless given"
    )
    severities: tuple[int, ...] = Field(
        default=SEVERITIES, strict=False, min_length=1, description="of each kind, from 1, the weakest, to 5"
    )
    images: int | None = Field(
        default=None,
        ge=1,
        lt=2**40,
        description="how many test images are corrupted: the first of each class in canonical order; null: all",
    )
    seed: int = Field(
        default=0, ge=0, lt=2**31, description="of the random numbers: each copy of each image draws its own"
    )

    @field_validator("kinds")
    @classmethod
    def _known(cls, kinds: tuple[str, ...]) -> tuple[str, ...]:
        for kind in kinds:
            if kind not in KINDS:
                raise RefusedValueError(expected="a kind of corruption", found=repr(kind), fix=nearest(kind, KINDS))
        return _in_order(kinds, tuple(KINDS))

    @field_validator("severities")
    @classmethod
    def _published(cls, severities: tuple[int, ...]) -> tuple[int, ...]:
        for severity in severities:
            if severity not in SEVERITIES:
                raise ValueError(f"severities from {SEVERITIES[0]} to {SEVERITIES[-1]}, and not {severity}")
        return _in_order(severities, SEVERITIES)

    @property
    def copies(self) -> int:
        """How many corrupted copies there are of each image."""
        return len(self.kinds) * len(self.severities)

    @property
    def sets(self) -> tuple[tuple[str, int], ...]:
        """Kind and severity of each corrupted copy of the test images."""
        return tuple((kind, severity) for kind in self.kinds for severity in self.severities)


def parse_corruptions(text: str) -> Corruptions:
    """The settings of an option's text: `all`, or such as `kinds=fog+snow,severities=1+5,images=1000,seed=0`.

    Raises:
        InputError: an unknown key, kind or severity, or a value that isn't a number.
    """
    try:
        values = {} if text == "all" else read_values(text, _value)
        return Corruptions.model_validate(values)
    except ValueError as error:  # pydantic's errors are of this kind too
        raise refusal(
            error, Corruptions, text,
            what="settings of corruptions that can't be used",
            expected="all, or kinds=KIND+KIND,severities=1+5,images=NUMBER,seed=NUMBER, of which any may be left out",
            where=f"--corruptions {text}",
            fix="`lape ls corruptions` lists the kinds; severities are 1 to 5",
        ) from None  # fmt: skip


def _value(key: str, value: str) -> object:
    names = value.split("+")
    return names if key == "kinds" else [*map(int, names)] if key == "severities" else int(value)


def check_corruptible(dataset: Dataset, where: str = "--corruptions") -> None:
    """Raise `InputError` if the images of a data set can't be corrupted, or are too small. where: who asks for it."""
    if dataset.task != "classification":
        raise InputError(
            f"corruptions are of images with a class each, and those of {dataset.name} have something else",
            expected="images that have a class each",
            found=f"images that have {TASKS[dataset.task].data} (task {dataset.task})",
            where=where,
            fix="leave corruptions out for this data set",
        )
    if dataset.sound is not None:
        raise InputError(
            f"the images of {dataset.name} are spectrograms, and corruptions are of photographs",
            expected="a data set of photographs",
            found="recordings",
            where=where,
            fix="leave corruptions out for this data set",
        )
    if min(dataset.shape[1:]) < LEAST_PIXELS:  # a sequence of tokens has one row
        raise InputError(
            f"the images of {dataset.name} are too small to corrupt",
            expected=f"at least {LEAST_PIXELS} × {LEAST_PIXELS} pixels",
            found=f"{dataset.shape[1]} × {dataset.shape[2]} pixels",
            where=where,
            fix="leave corruptions out for this data set; your own images can be prepared with a larger --image-size",
        )


def _in_order(names: tuple[_Name, ...], order: tuple[_Name, ...]) -> tuple[_Name, ...]:
    """The names in the published order, so that the same choice has the same id however it is written."""
    if len(set(names)) < len(names):
        raise ValueError(f"each name once, not {', '.join(map(str, names))}")
    return tuple(sorted(names, key=order.index))

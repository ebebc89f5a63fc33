"""How a recipe trains and tests on images with masks that are larger than the model's input."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Scenes(BaseModel):
    """Random scales, crops and colours in training, and sliding windows in tests.

    Source: the recipes of Segmenter (arXiv 2105.05633) and MMSegmentation for ADE20K. A window, and a crop, has the
    model's input size.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    scale: tuple[float, float] = Field(
        default=(0.5, 2.0),
        strict=False,
        description="smallest and largest factor by which an image is resized before it is cropped; where it is "
        "smaller than the crop, it is padded with ignored pixels",
    )
    most_of_a_class: float = Field(
        default=0.75,
        gt=0,
        le=1,
        description="a crop of which one class has at least this share is drawn again, up to ten times; 1: never",
    )
    colours: bool = Field(
        default=True,
        description="photometric distortion: random brightness, contrast, saturation and hue, each with probability "
        "1/2",
    )
    stride: int | None = Field(
        default=None,
        ge=1,
        description="pixels from one window of a test image to the next; null: that of a window, without overlap",
    )

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if not 0.1 <= self.scale[0] <= self.scale[1] <= 10:
            raise ValueError(f"scale must rise from at least 0.1 to at most 10, not {list(self.scale)}")
        return self

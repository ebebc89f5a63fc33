"""Which images and masks a segmentation data set has, and what the values of a mask mean. Nothing here reads a file."""

from __future__ import annotations

import re
from typing import Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from suite.data.settings_text import checksum_with, read_values, refusal

IGNORED = 255  # the value of a pixel that no loss and no metric counts, in mask files and in targets
PADDING = 255  # in a stored mask: outside of an image that doesn't fill its rectangle
MOST_CLASSES = 254  # a mask has a byte per pixel, and 255 is ignored
_NAMES = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(\+[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
_EXAMPLE = "classes=21,train=train,test=val"


class Segmentation(BaseModel):
    """The classes of the masks, and the rule that makes the splits.

    All of it is part of the data set's checksum.

    Attributes:
        classes: the number of classes.
        first_value: the value of the first class in a mask file: 0 (VOC), or 1, where 0 is ignored as 255 is (ADE20K).
        train: the lists (ImageSets/Segmentation/NAME.txt) or folders (images/NAME) of the training split, joined by
            "+".
        test: those of the test split.
        covers: "counts" if the checksum covers the numbers of images instead of their pixels; None for pixels.
        height, width: rows and columns of the stored images, which keep their proportions; None: images become squares.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    classes: int = Field(ge=2, le=MOST_CLASSES)
    first_value: Literal[0, 1] = 0
    train: str = Field(default="train", max_length=200)
    test: str = Field(default="val", max_length=200)
    height: int | None = Field(default=None, ge=8, le=4096)
    width: int | None = Field(default=None, ge=8, le=4096)
    covers: Literal["counts"] | None = None

    @field_validator("train", "test")
    @classmethod
    def _names(cls, names: str) -> str:
        if not _NAMES.fullmatch(names):
            raise ValueError("names of lists or folders, joined by +")
        return names

    @model_validator(mode="after")
    def _apart(self) -> Self:
        both = [*self.train.split("+"), *self.test.split("+")]
        if len(set(both)) < len(both):
            raise ValueError("each name once, in train or in test")
        if (self.height is None) != (self.width is None):
            raise ValueError("height and width, or neither")
        return self

    @model_serializer(mode="wrap")
    def _without_sizes(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """All values, but a size only where there is one: what was written before there were sizes stays the same."""
        values: dict[str, Any] = handler(self)
        return {key: value for key, value in values.items() if value is not None}

    @property
    def split_names(self) -> dict[str, list[str]]:
        """The lists or folders of each split."""
        return {"train": self.train.split("+"), "test": self.test.split("+")}

    @property
    def options(self) -> str:
        """The option of `lape data prepare` that gives these settings."""
        return "--segmentation " + ",".join(f"{key}={value}" for key, value in self.model_dump().items())

    def checksum(self, arrays: str) -> str:
        """A data set's checksum: SHA-256 over these settings and the checksum of its arrays."""
        return checksum_with("segmentation", self.model_dump(mode="json"), arrays)

    def counted(self, train_images: int, test_images: int, image_size: int, channels: int) -> str:
        """The checksum of a data set that may not be redistributed: over these settings and what is public of it."""
        return self.checksum(f"{train_images} + {test_images} images, {image_size} pixels, {channels} channels")


def parse_segmentation(text: str) -> Segmentation:
    """The settings that the command line gives.

    text: KEY=VALUE, separated by commas; all but `classes` may be left out.

    Raises:
        InputError: a key or a value is unknown, missing, given twice or out of its range.
    """
    try:
        return Segmentation.model_validate(read_values(text, _value))
    except ValueError as error:
        raise refusal(
            error, Segmentation, text,
            what="the settings of the masks can't be used",
            expected=f"classes=NUMBER (2 to {MOST_CLASSES}), and if wanted first_value=0 or 1, train=NAMES and "
            "test=NAMES, height=PIXELS and width=PIXELS, covers=counts",
            where=f"--segmentation {text}",
            fix=f"give, for instance, --segmentation {_EXAMPLE}",
        ) from None  # fmt: skip


def _value(key: str, value: str) -> int | str:
    return value if key in ("train", "test", "covers") else int(value)

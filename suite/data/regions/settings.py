"""Which images with regions a data set has. Nothing here reads a file."""

from __future__ import annotations

import re
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from suite.data.settings_text import checksum_with, read_values, refusal

MOST_ANNOTATORS = 32  # of an image; BSDS500 has at most nine
MOST_REGIONS = 255  # of an annotation: a pixel has a byte for each annotator, and 0 says that there is none
_NAMES = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(\+[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
_EXAMPLE = "train=train+val,test=test"


class Splits(BaseModel):
    """The published splits of BSDS500 that make up the two splits of a data set, joined by "+"."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    train: str = Field(max_length=200)
    test: str = Field(max_length=200)

    @field_validator("train", "test")
    @classmethod
    def _names(cls, names: str) -> str:
        if not _NAMES.fullmatch(names):
            raise ValueError("names of splits, joined by +")
        return names

    @model_validator(mode="after")
    def _apart(self) -> Self:
        both = [*self.train.split("+"), *self.test.split("+")]
        if len(set(both)) < len(both):
            raise ValueError("each name once, in train or in test")
        return self

    @property
    def split_names(self) -> dict[str, list[str]]:
        """The published splits of each split."""
        return {"train": self.train.split("+"), "test": self.test.split("+")}

    @property
    def options(self) -> str:
        """The option of `lape data prepare` that gives these settings."""
        return f"--regions train={self.train},test={self.test}"


class Regions(Splits):
    """The rule that makes the splits, and how many annotations an image has at most.

    All of it is part of the data set's checksum. The measures of regions are taken at the size of the stored images:
    annotations are resized to it, each pixel to the nearest one.

    Attributes:
        annotators: the largest number of annotations of an image. So many channels follow those of a stored image. Each
            holds an annotation: the number of a pixel's region, from 1. It is 0 where the image has no such annotation.
    """

    annotators: int = Field(ge=1, le=MOST_ANNOTATORS)

    def checksum(self, arrays: str) -> str:
        """A data set's checksum: SHA-256 over these settings and the checksum of its arrays."""
        return checksum_with("regions", self.model_dump(mode="json"), arrays)


def parse_regions(text: str) -> Splits:
    """The splits that the command line names.

    text: train=NAMES,test=NAMES.

    Raises:
        InputError: a key is unknown, missing or given twice, or a value isn't a list of names.
    """
    try:
        return Splits.model_validate(read_values(text, lambda key, value: value))
    except ValueError as error:
        raise refusal(
            error, Splits, text,
            what="the splits of the images with regions can't be used",
            expected="train=NAMES and test=NAMES: published splits of BSDS500, joined by +",
            where=f"--regions {text}",
            fix=f"give, for instance, --regions {_EXAMPLE}",
        ) from None  # fmt: skip

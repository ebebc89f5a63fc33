"""Which weights a training run starts from, by a level of its cell. Nothing here reads a file."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from suite.models.levels import Cell

Checksum = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Pretrained(BaseModel):
    """Weights of the suite's own training runs, one file for each level of an axis.

    The two sides of a comparison start from different weights, as in the paper's fine-tuning: the default joining from
    a model that was trained with it, LaPE from one that was trained with LaPE. All seeds of a cell start from one file.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    axis: str = Field(description="the axis by whose levels the weights differ, such as join")
    weights: dict[str, Checksum] = Field(
        min_length=1, description="by level, the checksum of its weights, as `lape data backbone` prints it"
    )

    def checksum(self, cell: Cell) -> str | None:
        """The checksum of the weights that a cell starts from; None if its level has none."""
        return self.weights.get(cell[self.axis])

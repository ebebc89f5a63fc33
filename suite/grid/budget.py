"""A budget: how a grid's training runs are smaller than the published ones that they stand for.

A claim that fails at a smaller budget may hold at the published one, and the reverse. Therefore every claim, table and
report of such a grid mentions its budget.
"""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from suite.errors import nearest
from suite.grid.axes import AXES
from suite.plain_errors import RefusedValueError

# The axes on which a grid may be smaller than published. With another PE or method it would test another claim.
_SIZES = tuple(name for name in AXES if AXES[name].declared_as)


class Budget(BaseModel):
    """The values under the key `budget` of a grid file."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    note: str = Field(min_length=1, description="what is smaller than in the paper, for the reader of the results")
    stands_for: dict[str, dict[str, str]] = Field(
        default={}, description="by axis, this grid's levels and the published ones that they stand for"
    )

    @model_validator(mode="after")
    def _one_to_one(self) -> Self:
        for axis, levels in self.stands_for.items():
            if axis not in _SIZES:
                raise RefusedValueError(expected="an axis of size", found=repr(axis), fix=nearest(axis, _SIZES))
            if len(set(levels.values())) < len(levels):
                raise ValueError(f"a published {axis} of its own for each level, not one for several: {levels}")
        return self

    def published(self, axis: str, level: str) -> str:
        """Return the published level that a level of this grid stands for; by default the level itself."""
        return self.stands_for.get(axis, {}).get(level, level)

    def here(self, axis: str, level: str) -> str:
        """Return the level of this grid that stands for a published level; by default the level itself."""
        return {theirs: ours for ours, theirs in self.stands_for.get(axis, {}).items()}.get(level, level)

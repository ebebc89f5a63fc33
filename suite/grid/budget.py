"""A budget: in what a grid is smaller than the published training that it stands for.

What fails at a smaller budget may hold at the published one, and the reverse; so every claim, table and report of such
a grid says so.
"""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from suite.errors import nearest
from suite.grid.axes import AXES

# What may be smaller than published. With another PE or method a grid would test another claim.
_SIZES = tuple(name for name in AXES if AXES[name].declared_as)


class Budget(BaseModel):
    """What stands under a grid's `budget`."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    note: str = Field(min_length=1, description="what is smaller than in the paper, for the reader of the results")
    stands_for: dict[str, dict[str, str]] = Field(
        default={}, description="by axis, this grid's levels and the published ones that they stand for"
    )

    @model_validator(mode="after")
    def _one_to_one(self) -> Self:
        for axis, levels in self.stands_for.items():
            if axis not in _SIZES:
                raise ValueError(f"an axis of size, not {axis!r}: {nearest(axis, _SIZES)}")
            if len(set(levels.values())) < len(levels):
                raise ValueError(f"a published {axis} of its own for each level, not one for several: {levels}")
        return self

    def published(self, axis: str, level: str) -> str:
        """The published level that a level of this grid stands for; others stand for themselves."""
        return self.stands_for.get(axis, {}).get(level, level)

    def here(self, axis: str, level: str) -> str:
        """Which level of this grid stands for a published one."""
        return {theirs: ours for ours, theirs in self.stands_for.get(axis, {}).items()}.get(level, level)

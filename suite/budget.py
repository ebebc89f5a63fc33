"""A budget: in what a grid is smaller than the training that it stands for. Its verdicts are then of analogues.

What fails at a smaller budget may hold at the published one, and the reverse; so every claim, table and report of such
a grid says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from suite.claims import Claim
from suite.errors import nearest
from suite.record import AXIS_FIELDS


class Budget(BaseModel):
    """What stands under a grid's `budget`.

    stands_for: by axis, this grid's levels and the published ones that they stand for; others stand for themselves.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    note: str = Field(min_length=1, description="what is smaller than in the paper, for the reader of the results")
    stands_for: dict[str, dict[str, str]] = Field(
        default={}, description="by axis, this grid's levels and the published ones that they stand for"
    )

    @model_validator(mode="after")
    def _one_to_one(self) -> Self:
        for axis, levels in self.stands_for.items():
            if axis not in AXIS_FIELDS:
                raise ValueError(f"an axis, not {axis!r}: {nearest(axis, AXIS_FIELDS)}")
            if len(set(levels.values())) < len(levels):
                raise ValueError(f"another published {axis} for each level, not one for several of {levels}")
        return self

    def here(self, axis: str, level: str) -> str:
        """This grid's level that stands for a published one."""
        return {theirs: ours for ours, theirs in self.stands_for.get(axis, {}).items()}.get(level, level)

    def analogue(self, claim: Claim) -> Claim:
        """The claim, carried over to this grid; one that is an analogue already stays as it is."""
        if claim.kind == "analogue":
            return claim
        asked = claim.contrast
        moved = {
            "baseline": self.here(asked.axis, asked.baseline),
            "treatment": self.here(asked.axis, asked.treatment),
            "match": {name: self.here(name, level) for name, level in asked.match.items()},
        }
        return claim.model_copy(
            update={
                "kind": "analogue",
                "published_for": f"{claim.row}, at the paper's own budget",
                "contrast": asked.model_copy(update=moved),
            }
        )


def carried_over(claims: Iterable[Claim], budget: Budget | None) -> list[Claim]:
    """The claims as a grid of this budget tests them."""
    return [claim if budget is None else budget.analogue(claim) for claim in claims]


def published_levels(cell: Mapping[str, str], budget: Budget | None) -> dict[str, str]:
    """A cell's levels, as the paper has them in place of this grid's."""
    stands_for = budget.stands_for if budget is not None else {}
    return {axis: stands_for.get(axis, {}).get(level, level) for axis, level in cell.items()}

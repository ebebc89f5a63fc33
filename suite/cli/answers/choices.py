"""What a grid with `choose` has chosen, in answers of several commands."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydantic import Field

from suite.cli.answers.answer import Part
from suite.grid.choice import Choice


class ScorePart(Part):
    """One level of a side, as the search has found it."""

    level: str
    validation_top1: float | None = Field(description="percent, a mean over the search runs that are done")
    runs: int
    missing: int
    failed: int


class ChoicePart(Part):
    """A side of a search."""

    side: str
    axis: str
    level: str | None = Field(description="the chosen level; null: not chosen yet, or each level has failed runs")
    scores: list[ScorePart]


def choice_parts(choices: Sequence[Choice]) -> list[ChoicePart]:
    """The state of each side."""
    return [
        ChoicePart(
            side=choice.side,
            axis=choice.search.axis,
            level=choice.level,
            scores=[
                ScorePart(
                    level=score.level,
                    validation_top1=None if math.isnan(score.mean) else score.mean,
                    runs=len(score.values),
                    missing=score.missing,
                    failed=score.failed,
                )
                for score in choice.scores
            ],
        )
        for choice in choices
    ]

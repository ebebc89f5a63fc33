"""Match a claim with the cells of a grid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from suite.grid.axes import is_usual
from suite.grid.settings import SETTINGS
from suite.text import pair_count
from suite.verdict import stats
from suite.verdict.claims.claim import Claim
from suite.verdict.comparisons import Comparison, comparisons
from suite.verdict.rules import in_order, least_pairs, smallest_p
from suite.verdict.runs import METRICS, rows_of

if TYPE_CHECKING:
    from suite.verdict.runs import Frame


@dataclass(frozen=True)
class Case:
    """A claim with one comparison that it is about, or with none.

    note: what must be said of the match: a caveat, or without a comparison why there is none.
    left_out: the pairs that the claim's rule can't use, and why; a text each.
    """

    claim: Claim
    comparison: Comparison | None
    note: str = ""
    left_out: tuple[str, ...] = ()

    @cached_property
    def obstacle(self) -> str:
        """Why the claim can't be tested with these runs; empty if it can."""
        if self.comparison is None:
            return f"{self.note or 'no runs of both sides'} ({self.label})"
        n, claim = len(self.comparison.seeds), self.claim
        if n < least_pairs(claim):
            return f"{pair_count(n)}, but at least {least_pairs(claim)} are needed"
        if not self.comparison.gain.identical:
            return ""
        if claim.rule == "fixed" and not stats.can_reach(claim.alpha, n, identical=True):
            return f"all {n} gains are equal, and {n} equal gains can't reach p < {claim.alpha:g} in the exact test"
        if claim.rule != "fixed" and smallest_p(claim, n) >= claim.alpha:
            return f"all {n} gains are equal, and {n} equal gains can't reach p < {claim.alpha:g} by this claim's rule"
        return ""

    @property
    def recipe(self) -> str:
        """The name of the recipe that the runs share; empty if there are none."""
        return self.comparison.cell["recipe"] if self.comparison is not None else ""

    @property
    def label(self) -> str:
        """The comparison, or the one that the claim asks for."""
        if self.comparison is not None:
            return self.comparison.label
        asked = self.claim.contrast
        cell = " ".join(level for axis, level in asked.match.items() if not is_usual(axis, level))
        return f"{cell}: {asked.treatment} vs {asked.baseline}"


def find_cases(frame: Frame, claims: Sequence[Claim], seeds: Sequence[int] | None = None) -> Iterator[Case]:
    """Each claim with each comparison that it is about, or with None.

    seeds: the grid's seed indices in their order, by which sequential claims read their pairs; 0, 1, 2, … by default.
    """
    found: dict[tuple[str, str, str, tuple[str, ...]], list[Comparison]] = {}
    for claim in claims:
        asked = claim.contrast
        if claim.metric not in METRICS:
            yield Case(claim, None, f"no run records {claim.metric}")
            continue
        key = (asked.axis, asked.baseline, claim.metric, tuple(asked.tied))
        if key not in found:
            found[key] = comparisons(frame, *key)
        matching = [
            comparison
            for comparison in found[key]
            if comparison.treatment.level == asked.treatment and asked.matches(comparison.level)
        ]
        for comparison in matching:
            namesakes = [one for one in matching if _named(one) == _named(comparison)]
            note = _recipes_note(comparison) if len(namesakes) > 1 else ""
            used, left_out = in_order(claim, comparison, seeds)
            yield Case(claim, used, note, left_out)
        if not matching:
            yield Case(claim, None, _apart_note(frame, claim))


def _named(comparison: Comparison) -> dict[str, str]:
    return {name: level for name, level in comparison.cell.items() if name != "recipe_id"}


def _recipes_note(comparison: Comparison) -> str:
    return (
        f"several recipes go by the name {comparison.cell['recipe']!r} here, and each has a verdict of its own; this "
        f"one is of the recipe with the id {comparison.cell['recipe_id']}"
    )


def _apart_note(frame: Frame, claim: Claim) -> str:
    """Why runs of both sides make no comparison; empty if one side has no runs."""
    asked = claim.contrast
    wanted = tuple(asked.match.values())
    names = (asked.axis, *asked.match)
    if any(name in SETTINGS for name in names):
        return ""
    levels = {level for level, *others in rows_of(frame, names) if tuple(others) == wanted}
    if not {asked.baseline, asked.treatment} <= levels:
        return ""
    return f"the runs of the two sides differ in more than their {asked.axis}, such as the recipe: there are no pairs"

"""Match a claim with the cells of a grid."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from suite.grid.axes import is_usual
from suite.grid.settings import SETTINGS
from suite.store.canonical import canonical_json
from suite.text import pair_count
from suite.verdict import stats
from suite.verdict.claims.claim import Claim
from suite.verdict.comparisons import Comparison, comparisons
from suite.verdict.failures import Bounds
from suite.verdict.metrics import MEASURED
from suite.verdict.rules import in_order, least_pairs, smallest_p
from suite.verdict.runs import is_missing, rows_of

if TYPE_CHECKING:
    from suite.verdict.runs import Frame


@dataclass(frozen=True)
class Case:
    """A claim with one comparison that it is about, or with none.

    note: what must be said of the match: a caveat, or without a comparison why there is none.
    left_out: the pairs that the claim's rule can't use, and why; a text each.
    bounds: the gains with failed pairs at their worst, where the claim's rule lets them enter.
    """

    claim: Claim
    comparison: Comparison | None
    note: str = ""
    left_out: tuple[str, ...] = ()
    bounds: Bounds | None = None

    @cached_property
    def obstacle(self) -> str:
        """Why the claim can't be tested with these runs; empty if it can."""
        if self.comparison is None:
            return f"{self.note or 'no runs of both sides'} ({self.label})"
        n, claim = len(self.comparison.seeds), self.claim
        sides = (self.comparison.baseline, self.comparison.treatment)
        if claim.epoch is not None and any(side.trials and not side.values for side in sides):
            return f"the runs weren't tested at epoch {claim.epoch}"
        if any(side.trials and not side.values for side in sides) and (missing := self.comparison.measured.missing):
            return missing
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


def find_cases(
    frame: Frame,
    claims: Sequence[Claim],
    seeds: Sequence[int] | None = None,
    history: Frame | None = None,
    pairs_expected: int | None = None,
) -> Iterator[Case]:
    """Each claim with each comparison that it is about, or with None.

    Args:
        frame: the runs.
        claims: the claims.
        seeds: the grid's seed indices in their order, by which sequential claims read their pairs; 0, 1, 2, … by
            default.
        history: the runs' epochs, for claims about one of them.
        pairs_expected: the number of pairs that the grid fixes, which claims of the fixed rule keep to where other
            claims are judged after each pair.
    """
    fixed = pairs_expected if any(claim.rule != "fixed" for claim in claims) else None
    found: dict[tuple[object, ...], list[Comparison]] = {}
    tested = _by_epoch(history, {claim.epoch for claim in claims})
    for claim in claims:
        asked = claim.contrast
        if claim.metric not in MEASURED:
            yield Case(claim, None, f"no run records {claim.metric}")
            continue
        if claim.epoch is not None and history is None:
            yield Case(claim, None, f"the training curves, which have epoch {claim.epoch}, aren't at hand")
            continue
        reference = claim.reference
        named = "" if reference is None else canonical_json(reference.model_dump(mode="json"))
        key = (asked.axis, asked.baseline, claim.metric, tuple(asked.tied), claim.epoch, named)
        if key not in found:
            at_epoch = None if claim.epoch is None else (claim.epoch, tested[claim.epoch])
            found[key] = comparisons(
                frame, asked.axis, asked.baseline, claim.metric, at_epoch, tuple(asked.tied), reference
            )
        matching = [
            comparison
            for comparison in found[key]
            if comparison.treatment.level == asked.treatment and asked.matches(comparison.level)
        ]
        for comparison in matching:
            namesakes = [one for one in matching if _named(one) == _named(comparison)]
            note = _recipes_note(comparison) if len(namesakes) > 1 else ""
            usable = in_order(claim, comparison, seeds, fixed)
            yield Case(claim, usable.comparison, note, usable.left_out, usable.bounds)
        if not matching:
            yield Case(claim, None, _apart_note(frame, claim))


def _by_epoch(history: Frame | None, epochs: Collection[int | None]) -> dict[int, dict[str, float]]:
    """Top-1 in percent by trial id, for each of the epochs. In the history they are counted from 0."""
    wanted: dict[int, dict[str, float]] = {epoch: {} for epoch in epochs if epoch is not None}
    if wanted and history is not None:
        for trial_id, epoch, top1 in rows_of(history, ("trial_id", "epoch", "top1")):
            if epoch + 1 in wanted and not is_missing(top1):
                wanted[int(epoch) + 1][str(trial_id)] = float(top1)
    return wanted


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

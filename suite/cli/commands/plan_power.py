"""What the seeds of a grid can show, at the level at which its claims are tested."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from suite.report.figures.available import missing_packages
from suite.report.workspace import Workspace
from suite.verdict import stats
from suite.verdict.claims.claim import Claim, untested
from suite.verdict.comparisons import comparisons
from suite.verdict.deciding import questions
from suite.verdict.matching import find_cases
from suite.verdict.metrics import metric_of

ALPHA = 0.05  # of a grid without claims


@dataclass(frozen=True)
class Power:
    """The smallest gain that so many pairs can show at one level, with 80 % power, by a single look.

    Args:
        level: what a p-value must fall below: α, divided among the claims of a family.
        claims: the ids of the claims that are tested at it; empty: the grid has none that a single look decides.
        pairs: the number of pairs.
        standard_deviations: the gain in standard deviations of the paired gains; None: one pair shows none.
        points_low: in points, or the claims' own unit, by the smallest spread of the runs' gains so far; None: no runs.
        points_high: by the largest spread.
    """

    level: float
    claims: tuple[str, ...]
    pairs: int
    standard_deviations: float | None
    points_low: float | None
    points_high: float | None


def powers(workspace: Workspace) -> list[Power]:
    """The power at each level at which claims of a grid are tested by a single look, the highest level first."""
    pairs = len(workspace.grid.file.seeds)
    found = []
    for level, claims in _levels(workspace).items():
        spreads = gain_spreads(workspace, claims) if pairs >= 2 else []
        smallest = stats.smallest_gain(pairs, 1.0, level) if pairs >= 2 else None
        low, high = (stats.smallest_gain(pairs, end(spreads), level) if spreads else None for end in (min, max))
        found.append(Power(level, claims, pairs, smallest, low, high))
    return found


def gain_spreads(workspace: Workspace, claims: Collection[str]) -> list[float]:
    """The standard deviations of the runs' paired gains: of these claims, or of joining methods where there are none.

    Empty if the claims are about metrics of several units.
    """
    if not claims:
        found = comparisons(workspace.columns)
    elif _unit(workspace, claims) is None:
        return []
    else:
        asked = [claim for claim in workspace.claims if claim.id in claims]
        history = workspace.history if any(claim.epoch for claim in asked) and not missing_packages() else None
        cases = find_cases(workspace.columns, asked, workspace.seed_order, history, workspace.grid.declared_seeds)
        found = [case.comparison for case in cases if case.comparison is not None]
    return [one.gain.sd for one in found if one.gain.n >= 2]


def _unit(workspace: Workspace, claims: Collection[str]) -> str | None:
    """The unit of these claims' gains, in the plural; None if they have several."""
    units = {metric_of(claim.metric).unit for claim in workspace.claims if claim.id in claims}
    return None if len(units) > 1 else next(iter(units), "points")


def _levels(workspace: Workspace) -> dict[float, tuple[str, ...]]:
    """The ids of the claims by their level. A claim that several comparisons match divides its share among them."""
    elsewhere = {claim.id for claim in untested(workspace.claims, workspace.expansion.trials)}
    tested = [claim for claim in workspace.claims if claim.id not in elsewhere]
    asked = [claim for claim in tested if claim.rule == "fixed"]
    if tested and not asked:
        return {}  # all are judged after each pair
    seeds = workspace.grid.file.seeds
    times = Counter(one.claim.id for one in questions(asked, workspace.expansion.trials, seeds, len(seeds)))
    by_level: dict[float, list[str]] = defaultdict(list)
    for claim in asked:
        by_level[_share(claim) / max(times[claim.id], 1)].append(claim.id)
    return {level: tuple(by_level[level]) for level in sorted(by_level, reverse=True)} or {ALPHA: ()}


def _share(claim: Claim) -> float:
    return claim.alpha / (claim.family_size or 1)


def power_lines(workspace: Workspace) -> Iterator[str]:
    """The power in words, a line for each level."""
    found = powers(workspace)
    if not found:
        yield "its claims are judged after each pair: what they can show is told with them"
    for one in found:
        if one.standard_deviations is None:
            yield "one seed can't show any gain: a paired test needs two or more"
            return
        of = {0: "", 1: ", as the claim is tested"}.get(len(one.claims), f", as {len(one.claims)} claims are tested")
        text = f"{one.pairs} pairs show a gain of {one.standard_deviations:.2f} standard deviations of the paired gains"
        text += f" (80 % power, α {one.level:.2g}{of})"
        if one.points_low is not None and one.points_high is not None:
            unit = _unit(workspace, one.claims)
            text += f": from {one.points_low:.2f} to {one.points_high:.2f} {unit}, by the spread of the runs so far"
        yield text

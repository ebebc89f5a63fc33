"""The rule by which a claim's gains are tested: at one fixed number of pairs, or as often as anybody looks.

* fixed: a single look at the number of pairs that the grid fixes (`suite.verdict.stats.gains`);
* max_pairs: after each pair, up to a largest number that the claim fixes (`suite.verdict.stats.sequential`);
* e_process: after each pair, without a largest number (`suite.verdict.stats.e_process`).

A sequential rule reads the pairs in the grid's order of seeds, up to the first seed whose pair isn't there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from suite.text import seed_list
from suite.verdict import stats
from suite.verdict.claims.claim import Claim
from suite.verdict.comparisons import Comparison
from suite.verdict.stats.e_process import e_process_equivalence, e_process_interval, e_process_p
from suite.verdict.stats.images import Interval
from suite.verdict.stats.sequential import FIRST_LOOK, repeated_interval, sequential_equivalence, sequential_p

# "Smaller than claimed" is tested at the level of one end of a 95 % interval.
SMALLER_LEVEL = 0.025


@dataclass(frozen=True)
class Tests:
    """What a rule says of one claim's gains. p-values are one-sided and not adjusted; gains are in points.

    Args:
        p: of no gain on the claimed side.
        p_opposite: of no gain on the other side.
        p_equivalent: TOST against the claimed gain ± margin.
        p_smaller: of a gain of at least the claimed one less the margin.
        interval: of 95 %; at all looks together if the rule is sequential.
    """

    p: float
    p_opposite: float
    p_equivalent: float
    p_smaller: float
    interval: Interval


def single_look(claim: Claim, gains: Sequence[float]) -> Tests:
    """The tests as if nobody had looked at fewer pairs."""
    gain = stats.paired_gain(gains)
    greater, less = gain.p_greater, gain.p_less
    ours, other = (greater, less) if claim.side == "greater" else (less, greater)
    short = stats.paired_gain([stats.direction(claim.side) * (value - _least(claim)) for value in gains]).p_less
    equivalent = stats.equivalence(gains, claim.claimed_gain, claim.margin)
    return Tests(ours, other, equivalent, short, Interval(gain.low, gain.high))


def tests_of(claim: Claim, gains: Sequence[float]) -> Tests:
    """The tests by the claim's own rule; gains in the grid's order of seeds, at most `max_pairs` of them."""
    side: stats.Side = claim.side
    other: stats.Side = "less" if side == "greater" else "greater"
    if claim.max_pairs is not None:
        most = claim.max_pairs
        return Tests(
            sequential_p(gains, most, 0.0, side),
            sequential_p(gains, most, 0.0, other),
            sequential_equivalence(gains, claim.claimed_gain, claim.margin, most),
            sequential_p(gains, most, _least(claim), other),
            repeated_interval(gains, most),
        )
    if claim.sequential == "e_process":
        return Tests(
            e_process_p(gains, 0.0, side),
            e_process_p(gains, 0.0, other),
            e_process_equivalence(gains, claim.claimed_gain, claim.margin),
            e_process_p(gains, _least(claim), other),
            e_process_interval(gains),
        )
    return single_look(claim, gains)


def falls_short(claim: Claim, interval: Interval) -> bool:
    """Whether the whole interval falls short of the claimed gain by more than the margin."""
    return interval.high < _least(claim) if claim.side == "greater" else interval.low > _least(claim)


def smallest_p(claim: Claim, pairs: int) -> float:
    """The smallest p-value that so many equal gains can give by the claim's rule."""
    if claim.rule == "fixed":
        return stats.smallest_sign_flip_p(pairs)
    return tests_of(claim, [stats.direction(claim.side) * 1.0] * pairs).p


def in_order(
    claim: Claim, comparison: Comparison, seeds: Sequence[int] | None = None
) -> tuple[Comparison, tuple[str, ...]]:
    """The pairs that a sequential claim may use, and what must be said of those that it may not.

    Args:
        claim: any claim; one of the fixed rule uses all pairs.
        comparison: all pairs that are there.
        seeds: the grid's seed indices in their order; 0, 1, 2, … unless given.
    """
    if claim.rule == "fixed":
        return comparison, ()
    there = comparison.seeds
    order = tuple(seeds) if seeds is not None else tuple(range(max(there, default=-1) + 1))
    prefix: list[int] = []
    for seed in order:
        if seed not in there:
            break
        prefix.append(seed)
    used = tuple(prefix[: claim.max_pairs])
    notes = []
    if beyond := prefix[len(used) :]:
        notes.append(f"left out, beyond the largest number of {claim.max_pairs} pairs: {seed_list(beyond)}")
    if len(prefix) < len(order) and len(used) == len(prefix):
        notes += _stopped(comparison, order[len(prefix)], [seed for seed in there if seed not in prefix])
    elif apart := [seed for seed in there if seed not in order]:
        notes.append(f"left out, for they aren't among the grid's seeds: {seed_list(apart)}")
    return replace(comparison, only=used), tuple(notes)


def _stopped(comparison: Comparison, seed: int, later: Sequence[int]) -> list[str]:
    """Why the pairs end at this seed; nothing if it and all later ones were simply not run yet."""
    sides = (comparison.baseline, comparison.treatment)
    failed = [side.level for side in sides if seed in side.failures]
    if failed:
        why = f"seed {seed} failed ({' and '.join(failed)}); run it again"
    elif lacking := [side.level for side in sides if seed not in side.values]:
        if not later and len(lacking) == 2:
            return []
        why = f"seed {seed} is missing ({' and '.join(lacking)})"
    rest = f"; left out, though their pairs are there: {seed_list(later)}" if later else ""
    return [f"the pairs are tested in the grid's order of seeds, and end where {why}{rest}"]


def least_pairs(claim: Claim) -> int:
    """The fewest pairs that are tested: what the claim's file says, and never fewer than three."""
    return max(claim.min_pairs, FIRST_LOOK)


def _least(claim: Claim) -> float:
    """The smallest gain (on the claimed side) that still counts as the claimed one."""
    return claim.claimed_gain - stats.direction(claim.side) * claim.margin

"""The rule by which a claim's gains are tested: at one fixed number of pairs, or as often as anybody looks.

* fixed: a single look at the number of pairs that the grid fixes (`suite.verdict.stats.gains`);
* max_pairs: after each pair, up to a largest number that the claim fixes (`suite.verdict.stats.sequential`);
* e_process: after each pair, without a largest number (`suite.verdict.stats.e_process`).

A sequential rule reads the pairs in the grid's order of seeds, up to the first seed whose pair isn't there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from suite.text import seed_list
from suite.verdict import stats
from suite.verdict.claims.claim import Claim
from suite.verdict.comparisons import Comparison
from suite.verdict.failures import Bounds, bounds, failed_seeds
from suite.verdict.stats.e_process import e_process_interval, e_process_p
from suite.verdict.stats.images import Interval
from suite.verdict.stats.sequential import FIRST_LOOK, repeated_interval, sequential_p

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


@dataclass(frozen=True)
class _Rule:
    """p: the one-sided p-value of gains against a null, on a side. interval: their 95 % interval."""

    p: Callable[[Sequence[float], float, stats.Side], float]
    interval: Callable[[Sequence[float]], Interval]


def _single_p(gains: Sequence[float], null: float, side: stats.Side) -> float:
    gain = stats.paired_gain([value - null for value in gains])
    return gain.p_greater if side == "greater" else gain.p_less


def _single_interval(gains: Sequence[float]) -> Interval:
    gain = stats.paired_gain(gains)
    return Interval(gain.low, gain.high)


_SINGLE = _Rule(_single_p, _single_interval)
_E_PROCESS = _Rule(e_process_p, e_process_interval)


def _up_to(most: int) -> _Rule:
    return _Rule(
        lambda gains, null, side: sequential_p(gains, most, null, side), lambda gains: repeated_interval(gains, most)
    )


def single_look(claim: Claim, gains: Sequence[float], highest: Sequence[float] | None) -> Tests:
    """The tests as if nobody had looked at fewer pairs. Arguments as for `tests_of`."""
    return _tests(claim, _SINGLE, gains, highest)


def tests_of(claim: Claim, gains: Sequence[float], highest: Sequence[float] | None) -> Tests:
    """The tests by the claim's own rule.

    Args:
        claim: the claim.
        gains: in the grid's order of seeds, at most `max_pairs` of them; failed pairs at their lowest, if they enter.
        highest: the same with failed pairs at their highest; None: none enter. Each test then takes what is worse for
            what it would show.
    """
    if claim.max_pairs is not None:
        return _tests(claim, _up_to(claim.max_pairs), gains, highest)
    return _tests(claim, _SINGLE if claim.sequential is None else _E_PROCESS, gains, highest)


def _tests(claim: Claim, rule: _Rule, low: Sequence[float], highest: Sequence[float] | None) -> Tests:
    high = low if highest is None else highest
    side: stats.Side = claim.side
    other: stats.Side = "less" if side == "greater" else "greater"
    worst, best = (low, high) if side == "greater" else (high, low)
    equivalent = max(
        rule.p(low, claim.claimed_gain - claim.margin, "greater"),
        rule.p(high, claim.claimed_gain + claim.margin, "less"),
    )
    ends = rule.interval(low)
    return Tests(
        rule.p(worst, 0.0, side),
        rule.p(best, 0.0, other),
        equivalent,
        rule.p(best, _least(claim), other),
        ends if highest is None else Interval(ends.low, rule.interval(high).high),
    )


def falls_short(claim: Claim, gain: stats.PairedGain, interval: Interval) -> bool:
    """Whether the gain is smaller than the claimed one by more than the margin, allowing for the paper's own runs.

    A published gain is a mean of some runs too, and varies as ours does: the interval is widened by what a mean of so
    many runs with our standard deviation varies (Spence and Stanley 2016). An unknown number counts as one run. An
    analogue isn't compared with the paper's experiment, so that its claimed gain is taken as it is.
    """
    wider = 0.0 if claim.is_here else _of_the_paper(claim, gain)
    if claim.side == "greater":
        return gain.mean + math.hypot(interval.high - gain.mean, wider) < _least(claim)
    return gain.mean - math.hypot(gain.mean - interval.low, wider) > _least(claim)


def _of_the_paper(claim: Claim, gain: stats.PairedGain) -> float:
    """How far the mean of the paper's runs may lie from their true gain, at 95 %, with our standard deviation."""
    if gain.n < 2 or gain.identical:
        return 0.0
    from scipy import special  # here: a process that trains does without its 40 MB

    return float(special.stdtrit(gain.n - 1, 0.975)) * gain.sd / math.sqrt(claim.published_runs or 1)


def has_fallen_short(claim: Claim, gains: Sequence[float]) -> bool:
    """`falls_short` at the last of the looks, by the claim's rule; with a largest number of pairs, at any of them.

    The intervals of all looks hold together, so that a later pair doesn't take back what an earlier look has shown.
    """
    if claim.rule == "fixed":
        gain = stats.paired_gain(gains)
        return falls_short(claim, gain, Interval(gain.low, gain.high))
    tests = tests_of(claim, gains, None)
    if not tests.p_smaller < SMALLER_LEVEL or claim.is_here:
        return tests.p_smaller < SMALLER_LEVEL
    if claim.max_pairs is None:
        return falls_short(claim, stats.paired_gain(gains), tests.interval)
    prefixes = [gains[:n] for n in range(FIRST_LOOK, len(gains) + 1)]
    return any(
        falls_short(claim, stats.paired_gain(part), repeated_interval(part, claim.max_pairs)) for part in prefixes
    )


def smallest_p(claim: Claim, pairs: int) -> float:
    """The smallest p-value that so many equal gains can give by the claim's rule."""
    if claim.rule == "fixed":
        return stats.smallest_sign_flip_p(pairs)
    return tests_of(claim, [stats.direction(claim.side) * 1.0] * pairs, None).p


@dataclass(frozen=True)
class Usable:
    """The pairs of a comparison that a claim's rule may use.

    Args:
        comparison: the done pairs among them.
        bounds: the gains with failed pairs at their worst, where the claim lets them enter; None: there are none.
        left_out: what must be said of the pairs that it may not use; a text each.
    """

    comparison: Comparison
    bounds: Bounds | None = None
    left_out: tuple[str, ...] = ()


def in_order(
    claim: Claim, comparison: Comparison, seeds: Sequence[int] | None = None, fixed: int | None = None
) -> Usable:
    """The pairs that a claim's rule may use.

    Args:
        claim: any claim.
        comparison: all pairs that are there.
        seeds: the grid's seed indices in their order; 0, 1, 2, … unless given.
        fixed: how many of the seeds a claim of the fixed rule uses, where other claims have had further ones run; None:
            all pairs.
    """
    if claim.rule == "fixed":
        if seeds is None or fixed is None or set(comparison.seeds) <= set(seeds[:fixed]):
            return Usable(comparison)
        return Usable(replace(comparison, only=tuple(seed for seed in seeds[:fixed] if seed in comparison.seeds)))
    there = comparison.seeds
    entering: tuple[int, ...] = ()
    if claim.failed_pairs == "worst_case" and comparison.baseline.values and comparison.treatment.values:
        entering = failed_seeds(comparison)
    order = tuple(seeds) if seeds is not None else tuple(range(max([*there, *entering], default=-1) + 1))
    prefix: list[int] = []
    for seed in order:
        if seed not in there and seed not in entering:
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
    done = replace(comparison, only=tuple(seed for seed in used if seed in there))
    return Usable(done, bounds(comparison, used) if set(used) & set(entering) else None, tuple(notes))


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

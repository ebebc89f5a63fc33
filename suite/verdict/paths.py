"""The path of a claim that is judged after each pair: what each look said, and where its boundaries lay."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from suite.text import interval, pair_count, points
from suite.verdict import stats
from suite.verdict.evidence import Evidence
from suite.verdict.failures import Bounds
from suite.verdict.sentences import Word
from suite.verdict.stats.sequential import FIRST_LOOK, critical_t
from suite.verdict.verdicts import decide, has_a_word


@dataclass(frozen=True)
class Step:
    """What the first pairs say, in percentage points.

    Args:
        pairs: how many they are.
        mean: the mean gain.
        low: the lower end of the rule's 95 % interval; infinite below three pairs.
        high: its upper end.
        boundary: how far from zero the mean gain of so many pairs with this spread must lie for a gain, or a loss, at
            the claim's share of α; infinite below three pairs, NaN by the e-process, which looks at signs too.
        word: the word after these pairs.
    """

    pairs: int
    mean: float
    low: float
    high: float
    boundary: float
    word: Word


def steps(evidence: Evidence) -> tuple[Step, ...]:
    """The path of a claim, from its first pair on; empty for a claim that is judged once, or can't be tested yet."""
    if evidence.claim.rule == "fixed":
        return ()
    seeds = evidence.comparison.seeds if evidence.bounds is None else evidence.bounds.seeds
    return tuple(_step(_first(evidence, seeds[:n])) for n in range(1, len(seeds) + 1))


def fell(path: Sequence[Step]) -> Step | None:
    """The step at which the claim got the word that it has; None if it has none."""
    if not path or not has_a_word(path[-1].word):
        return None
    place = len(path) - 1
    while place and path[place - 1].word == path[-1].word:
        place -= 1
    return path[place]


def _first(evidence: Evidence, seeds: Sequence[int]) -> Evidence:
    there = set(evidence.comparison.seeds)
    compared = replace(evidence.comparison, only=tuple(seed for seed in seeds if seed in there))
    whole = evidence.bounds
    n = len(seeds)
    part = None
    if whole is not None:
        failed = tuple(seed for seed in seeds if seed in whole.failed)
        part = Bounds(tuple(seeds), whole.low[:n], whole.high[:n], failed)
    return replace(evidence, comparison=compared, bounds=part, images=None, tested=n >= FIRST_LOOK)


def _step(evidence: Evidence) -> Step:
    n, gain = evidence.pairs, evidence.gain
    if not evidence.tested:
        return Step(n, gain.mean, -math.inf, math.inf, math.inf, "not_tested")
    most = evidence.claim.max_pairs
    boundary = math.nan
    if most is not None and evidence.bounds is None and not gain.identical:
        boundary = critical_t(n, most, evidence.level) * gain.sd / math.sqrt(n)
    return Step(n, gain.mean, evidence.interval.low, evidence.interval.high, boundary, decide(evidence))


def path_line(evidence: Evidence) -> str:
    """How far a claim is on its way to a word, in a line."""
    path = steps(evidence)
    if not path:
        return ""
    last, claim = path[-1], evidence.claim
    most = f" of at most {claim.max_pairs}" if claim.max_pairs is not None else ""
    text = f"{pair_count(last.pairs)}{most}, {points(last.mean)}"
    if math.isfinite(last.low):
        text += f" {interval(last.low, last.high)}"
    word = last.word.replace("_", " ")
    at = fell(path)
    if at is not None:
        return f"{text}: {word}, since pair {at.pairs}"
    if math.isfinite(last.boundary):
        side = stats.direction(claim.side)
        text += f"; a gain is shown {'above' if side > 0 else 'below'} {points(side * last.boundary)}"
        text += f", a loss {'below' if side > 0 else 'above'} {points(-side * last.boundary)}"
    done = claim.max_pairs is not None and last.pairs >= claim.max_pairs
    return f"{text}: {word}{'' if done else ' so far'}"


def path_values(evidence: Evidence) -> list[dict[str, float | str | None]]:
    """The path as JSON-compatible values; what is infinite or undefined is None."""
    return [
        {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in found.items()
        }
        for found in map(asdict, steps(evidence))
    ]

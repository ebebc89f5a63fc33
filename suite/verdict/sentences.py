"""The sentence and the conclusion of each verdict."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Literal

from suite.text import interval, pair_count, points
from suite.verdict import stats
from suite.verdict.claims.claim import Claim
from suite.verdict.evidence import Evidence
from suite.verdict.matching import Case

Word = Literal[
    "not_tested", "contradicted", "confirmed", "direction_only", "inconclusive",
    "opposite_here", "gain_here", "no_gain_here", "open",
]  # fmt: skip
# Of a claim at the paper's own data and budget, and of one that is carried over to others.
WORDS: tuple[Word, ...] = ("not_tested", "contradicted", "confirmed", "direction_only", "inconclusive")
ANALOGUE_WORDS: tuple[Word, ...] = ("not_tested", "opposite_here", "gain_here", "no_gain_here", "open")
MEANINGS: Mapping[Word, str] = {
    "not_tested": "There are no runs, too few pairs, or a test that can't reach its level with so few.",
    "contradicted": "The gain is significantly negative; or none is shown, and all of its interval lies below the "
    "claimed gain less the margin.",
    "confirmed": "The gain is significant, and shown to be as large as claimed, within the margin.",
    "direction_only": "The gain is significant, but not shown to be as large as claimed.",
    "inconclusive": "These runs can settle neither that there is a gain nor that there is none of the claimed size.",
    "opposite_here": "Of an analogue: the gain is significantly negative in these runs.",
    "gain_here": "Of an analogue: the gain is significant in these runs. Its size isn't compared with the paper's.",
    "no_gain_here": "Of an analogue: none is shown in these runs, and all of its interval lies below the claimed gain "
    "less the margin.",
    "open": "Of an analogue: these runs settle nothing.",
}


def write_sentence(
    case: Case,
    word: Word,
    obstacle: str,
    evidence: Evidence | None,
    single_look: Word | None = None,
    taken: Word | None = None,
) -> str:
    """The verdict for a reader of the paper.

    Args:
        case: the claim with its comparison.
        word: the word.
        obstacle: why the claim couldn't be tested.
        evidence: the numbers.
        single_look: see `suite.verdict.verdicts.Verdict`.
        taken: the word that the pairs at hand would have, if failed ones take it away.
    """
    claim = case.claim
    text = f"claimed {claim.claimed_text}"
    if evidence is not None:
        text += f", observed {points(evidence.gain.mean)}{evidence.comparison.measured.suffix}"
        if evidence.pairs > 1:
            ends = evidence.interval if math.isfinite(evidence.interval.low) else evidence.gain
            text += f" {interval(ends.low, ends.high)}"
        text += f" over {pair_count(evidence.pairs)}{_RULES[claim.rule].format(most=claim.max_pairs)}"
        if evidence.claims_judged > 1:
            text += f", as one of {evidence.claims_judged} claims"
    if evidence is None or word == "not_tested":
        text += f": not tested; {obstacle}"
    else:
        conclusion = _CONCLUSIONS[word](claim, evidence)
        if taken is not None:
            here, there = (one.replace("_", " ") for one in (word, taken))
            conclusion = f"{here}; without the failed pairs it would be {there}, but not with them at their worst"
        text += f": {conclusion}"
        if single_look is not None:
            same = "the same" if single_look == word else single_look.replace("_", " ")
            text += f"; a single look at these pairs would say {same}"
    if claim.kind == "analogue":
        here = (
            f"; these runs are {case.label.split(':')[0]}, recipe {case.recipe}" if case.comparison is not None else ""
        )
        text += f"{_ANALOGUE}{claim.published_for}{here})"
    return text


def without_analogue(sentence: str) -> str:
    """The sentence of a verdict without what it says at its end of an analogue, for a page that says it once."""
    return sentence.partition(_ANALOGUE)[0]


_ANALOGUE = " (an analogue: the paper's gain is for "


def _contradicted(claim: Claim, evidence: Evidence) -> str:
    if evidence.p_negative_adjusted < claim.alpha:
        return f"contradicted; it is a significant {_opposite(claim)}"
    return f"contradicted; no significant gain, and {_least(claim)} is ruled out"


def _confirmed(claim: Claim, evidence: Evidence) -> str:
    return f"confirmed; as large as claimed, within {claim.margin:.2f}"


def _direction_only(claim: Claim, evidence: Evidence) -> str:
    if evidence.smaller:
        return f"direction only; smaller than claimed: {_least(claim)} is ruled out"
    if evidence.interval.low <= claim.claimed_gain <= evidence.interval.high:
        return f"direction only; a gain, but not shown to lie within {claim.margin:.2f} of the claimed one"
    smaller = abs(evidence.gain.mean) < abs(claim.claimed_gain)
    return f"direction only; {'smaller' if smaller else 'larger'} than claimed"


def _inconclusive(claim: Claim, evidence: Evidence) -> str:
    word = "open" if claim.is_here else "inconclusive"
    if claim.rule != "fixed":
        if evidence.pairs == claim.max_pairs:
            return f"{word}; the largest number of pairs is reached"
        further = "" if claim.max_pairs is None else f"up to {claim.max_pairs - evidence.pairs} "
        return f"{word} so far; {further}further pairs may decide it"
    could = evidence.smallest_gain
    text = (
        f"{word}; {pair_count(evidence.pairs)} could have shown a gain of "
        f"{points(stats.direction(claim.side) * could)} or {_further(claim)} (80 % power)"
    )
    if could > abs(claim.claimed_gain) and math.isfinite(evidence.pairs_needed):
        text += f", the claimed one needs about {evidence.pairs_needed:.0f}"
    return text


_RULES: Mapping[str, str] = {
    "fixed": "",
    "max_pairs": " of at most {most}, judged after each",
    "e_process": ", judged after each by the e-process",
}

_CONCLUSIONS: Mapping[Word, Callable[[Claim, Evidence], str]] = {
    "contradicted": _contradicted,
    "confirmed": _confirmed,
    "direction_only": _direction_only,
    "inconclusive": _inconclusive,
    "opposite_here": lambda claim, _: f"opposite here; it is a significant {_opposite(claim)}",
    "gain_here": lambda claim, evidence: (
        f"gain here; smaller than claimed: {_least(claim)} is ruled out" if evidence.smaller else "gain here"
    ),
    "no_gain_here": lambda claim, _: f"no gain here; none is significant, and {_least(claim)} is ruled out",
    "open": _inconclusive,
}


def _opposite(claim: Claim) -> str:
    return "loss" if claim.side == "greater" else "rise"


def _least(claim: Claim) -> str:
    """The least gain that counts as the claimed one, or a larger one, in words."""
    return f"one of {points(claim.claimed_gain - stats.direction(claim.side) * claim.margin)} or {_further(claim)}"


def _further(claim: Claim) -> str:
    return "more" if claim.side == "greater" else "less"

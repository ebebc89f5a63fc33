"""Verdicts: what the runs say about each claim, in one of five words, with every number that led to it.

The words are decided in this order, so that exactly one fits any outcome (design decision 9):

* not_tested: no runs, too few pairs, or a test that can't reach α with them;
* contradicted: significantly the other way; or no significant gain, and the interval ends below the claimed
  gain less the margin;
* confirmed: significantly positive, and shown to be the claimed gain within the margin (TOST);
* direction_only: significantly positive, but its size is not shown to be the claimed one;
* inconclusive: the rest.

Significant means: one-sided paired t-test, Holm-adjusted over the claims that are judged together and
could be tested, p < α. Both directions are adjusted, each over the same claims. TOST and the interval are
not adjusted: they only take a word away, or say of a gain that isn't shown that it is smaller than claimed.

A claim's side is the sign of its gain: "greater" says that the treatment adds accuracy, "less" (of an error, a
cost) that it takes something away; the claimed gain, treatment minus baseline, is then negative. What is said here
of a gain holds for a claim of the other side with all signs turned.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from suite.verdict import stats
from suite.verdict.caveats import caveats
from suite.verdict.claims.claim import Claim
from suite.verdict.comparisons import Comparison
from suite.verdict.evidence import Evidence, image_checks, raw_p
from suite.verdict.matching import Case, find_cases
from suite.verdict.sentences import Word, write_sentence

if TYPE_CHECKING:
    from suite.verdict.runs import Frame


@dataclass(frozen=True)
class Verdict:
    """A claim, the word that the runs earn it, and why.

    cell: the comparison, in a line; recipe: the name of the recipe that its runs share, if there are any.
    evidence: None where there is no pair at all.
    """

    claim: Claim
    word: Word
    sentence: str
    cell: str
    recipe: str
    caveats: tuple[str, ...]
    evidence: Evidence | None


def judge(frame: Frame, claims: Sequence[Claim]) -> list[Verdict]:
    """Judge the claims together: the more of them, the more each must show.

    A claim that several comparisons match (say, of two recipes) gets a verdict for each; one that none
    matches gets one, not_tested. The order is that of the claims.

    Raises:
        InputError: the frame holds two trainings under one name, a finished run without an accuracy, answers to
            the test images that don't fit it, or test sets of two sizes in one comparison.
    """
    return judge_cases(find_cases(frame, claims))


def judge_cases(matched: Iterable[Case]) -> list[Verdict]:
    """Judge claims together, each on the comparison that is at hand for it; raises `InputError` as `judge` does."""
    cases = list(matched)
    tested = [(case, case.comparison) for case in cases if case.comparison is not None and not case.obstacle]
    raw = [raw_p(case.claim, comparison) for case, comparison in tested]
    sides = [[p for p, _ in raw], [p for _, p in raw]]
    adjusted = [stats.holm(side) for side in sides]
    places = {id(case): place for place, (case, _) in enumerate(tested)}
    checks = image_checks(case.comparison for case in cases if case.comparison is not None and case.comparison.seeds)
    found = []
    for case in cases:
        p = p_negative = math.nan
        obstacle = case.obstacle
        if (place := places.get(id(case))) is not None:
            p, p_negative = (side[place] for side in adjusted)
            obstacle = _out_of_reach(*tested[place], sides, place)
        evidence = None
        if case.comparison is not None and case.comparison.seeds:
            images = checks.get(id(case.comparison))
            evidence = Evidence(case.claim, case.comparison, p, p_negative, len(tested), images)
        found.append(_verdict(case, obstacle, evidence))
    return found


def _out_of_reach(case: Case, comparison: Comparison, sides: Sequence[Sequence[float]], place: int) -> str:
    """Why equal gains can't reach α beside the other claims, in either direction; empty if they can.

    Only the exact test has a smallest p; the claim still counts among those judged together.
    """
    if not comparison.gain.identical:
        return ""
    n, best = comparison.gain.n, stats.smallest_sign_flip_p(comparison.gain.n)
    reached = min(stats.holm([*side[:place], best, *side[place + 1 :]])[place] for side in sides)
    if reached < case.claim.alpha:
        return ""
    return (
        f"all {n} gains are equal, and {n} equal gains can't reach p < {case.claim.alpha:g} in the exact test: "
        f"among the {len(sides[0])} claims judged together, {reached:.2g} at best"
    )


def decide(claim: Claim, evidence: Evidence) -> Word:
    """The word for a claim that could be tested: a function of the numbers alone."""
    significant = evidence.p_adjusted < claim.alpha
    if evidence.p_negative_adjusted < claim.alpha or (not significant and _rules_out(claim, evidence)):
        return "contradicted"
    if significant:
        return "confirmed" if evidence.p_equivalent < claim.alpha else "direction_only"
    return "inconclusive"


def _rules_out(claim: Claim, evidence: Evidence) -> bool:
    """Whether the whole interval falls short of the claimed gain by more than the margin."""
    if claim.side == "greater":
        return evidence.gain.high < claim.claimed_gain - claim.margin
    return evidence.gain.low > claim.claimed_gain + claim.margin


def to_json(verdicts: Iterable[Verdict]) -> str:
    """The verdicts as JSON text, with all their numbers; what is undefined or infinite is null."""
    objects = [
        {
            "word": verdict.word,
            "sentence": verdict.sentence,
            "cell": verdict.cell,
            "recipe": verdict.recipe,
            "caveats": verdict.caveats,
            "claim": verdict.claim.model_dump(mode="json"),
            "evidence": None if verdict.evidence is None else verdict.evidence.flat(),
        }
        for verdict in verdicts
    ]
    return json.dumps(_plain(objects), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _verdict(case: Case, obstacle: str, evidence: Evidence | None) -> Verdict:
    word: Word = "not_tested" if evidence is None or obstacle else decide(case.claim, evidence)
    texts: list[str] = []
    if case.comparison is not None:
        texts = [*([case.note] if case.note else []), *caveats(case.claim, case.comparison, evidence)]
    sentence = write_sentence(case, word, obstacle, evidence)
    return Verdict(case.claim, word, sentence, case.label, case.recipe, tuple(texts), evidence)


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value

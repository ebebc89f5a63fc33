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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

import pandas as pd

from suite import stats
from suite.caveats import caveats
from suite.claims import Claim
from suite.contrasts import METRICS, Contrast, contrasts, pair_count, points
from suite.evidence import Evidence, gather, image_checks, raw_p
from suite.grid.axes import is_usual

Word = Literal["not_tested", "contradicted", "confirmed", "direction_only", "inconclusive"]
WORDS: tuple[Word, ...] = ("not_tested", "contradicted", "confirmed", "direction_only", "inconclusive")

MEANINGS: Mapping[Word, str] = {
    "not_tested": "There are no runs, too few pairs, or a test that can't reach its level with so few.",
    "contradicted": "The gain is significantly negative; or none is shown, and all of its interval lies below the "
    "claimed gain less the margin.",
    "confirmed": "The gain is significant, and shown to be as large as claimed, within the margin.",
    "direction_only": "The gain is significant, but not shown to be as large as claimed.",
    "inconclusive": "These runs can settle neither that there is a gain nor that there is none of the claimed size.",
}


@dataclass(frozen=True)
class Verdict:
    """A claim, the word that the runs earn it, and why.

    cell: the contrast, in a line; recipe: the name of the recipe that its runs share, if there are any.
    evidence: None where there is no pair at all.
    """

    claim: Claim
    word: Word
    sentence: str
    cell: str
    recipe: str
    caveats: tuple[str, ...]
    evidence: Evidence | None


def judge(frame: pd.DataFrame, claims: Sequence[Claim]) -> list[Verdict]:
    """Judge the claims together: the more of them, the more each must show.

    A claim that several contrasts match (say, of two recipes) gets a verdict for each; one that none
    matches gets one, not_tested. The order is that of the claims.

    Raises:
        InputError: the frame holds two trainings under one name, a finished run without an accuracy, answers to
            the test images that don't fit it, or test sets of two sizes in one contrast.
    """
    return judge_cases(_cases(frame, claims))


@dataclass(frozen=True)
class Case:
    """A claim with one contrast that it is about, or with none.

    note: what must be said of the match: a caveat, or without a contrast why there is none.
    """

    claim: Claim
    contrast: Contrast | None
    note: str = ""

    @cached_property
    def obstacle(self) -> str:
        """Why the claim can't be tested with these runs; empty if it can."""
        if self.contrast is None:
            return f"{self.note or 'no runs of both sides'} ({self.label})"
        n, claim = len(self.contrast.seeds), self.claim
        if n < claim.min_pairs:
            return f"{pair_count(n)}, but at least {claim.min_pairs} are needed"
        if not stats.can_reach(claim.alpha, n, identical=self.contrast.gain.identical):
            return f"all {n} gains are equal, and {n} equal gains can't reach p < {claim.alpha:g} in the exact test"
        return ""

    @property
    def recipe(self) -> str:
        """The name of the recipe that the runs share; empty if there are none."""
        return self.contrast.cell["recipe"] if self.contrast is not None else ""

    @property
    def label(self) -> str:
        """The contrast, or the one that the claim asks for."""
        if self.contrast is not None:
            return self.contrast.label
        asked = self.claim.contrast
        cell = " ".join(level for axis, level in asked.match.items() if not is_usual(axis, level))
        return f"{cell}: {asked.treatment} vs {asked.baseline}"


def judge_cases(matched: Iterable[Case]) -> list[Verdict]:
    """Judge claims together, each on the contrast that is at hand for it; raises `InputError` as `judge` does."""
    cases = list(matched)
    tested = [(case, case.contrast) for case in cases if case.contrast is not None and not case.obstacle]
    raw = [raw_p(case.claim, contrast) for case, contrast in tested]
    sides = [[p for p, _ in raw], [p for _, p in raw]]
    adjusted = [stats.holm(side) for side in sides]
    places = {id(case): place for place, (case, _) in enumerate(tested)}
    checks = image_checks(case.contrast for case in cases if case.contrast is not None and case.contrast.seeds)
    found = []
    for case in cases:
        p = p_negative = math.nan
        obstacle = case.obstacle
        if (place := places.get(id(case))) is not None:
            p, p_negative = (side[place] for side in adjusted)
            obstacle = _out_of_reach(*tested[place], sides, place)
        evidence = None
        if case.contrast is not None and case.contrast.seeds:
            images = checks.get(id(case.contrast))
            evidence = gather(case.claim, case.contrast, p, p_negative, len(tested), images)
        found.append(_verdict(case, obstacle, evidence))
    return found


def _out_of_reach(case: Case, contrast: Contrast, sides: Sequence[Sequence[float]], place: int) -> str:
    """Why equal gains can't reach α beside the other claims, in either direction; empty if they can.

    Only the exact test has a smallest p; the claim still counts among those judged together.
    """
    if not contrast.gain.identical:
        return ""
    n, best = contrast.gain.n, stats.smallest_sign_flip_p(contrast.gain.n)
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
        return evidence.high < claim.claimed_gain - claim.margin
    return evidence.low > claim.claimed_gain + claim.margin


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
            "evidence": None if verdict.evidence is None else asdict(verdict.evidence),
        }
        for verdict in verdicts
    ]
    return json.dumps(_plain(objects), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _cases(frame: pd.DataFrame, claims: Sequence[Claim]) -> Iterator[Case]:
    """Each claim with each contrast that it is about, or with None."""
    found: dict[tuple[str, str, str], list[Contrast]] = {}
    for claim in claims:
        asked = claim.contrast
        if claim.metric not in METRICS:
            yield Case(claim, None, f"no run records {claim.metric}")
            continue
        key = (asked.axis, asked.baseline, claim.metric)
        if key not in found:
            found[key] = contrasts(frame, *key)
        matching = [
            contrast
            for contrast in found[key]
            if contrast.treatment.level == asked.treatment
            and all(contrast.cell[name] == level for name, level in asked.match.items())
        ]
        for contrast in matching:
            namesakes = [one for one in matching if _named(one) == _named(contrast)]
            yield Case(claim, contrast, _recipes_note(contrast) if len(namesakes) > 1 else "")
        if not matching:
            yield Case(claim, None, _apart_note(frame, claim))


def _named(contrast: Contrast) -> dict[str, str]:
    return {name: level for name, level in contrast.cell.items() if name != "recipe_id"}


def _recipes_note(contrast: Contrast) -> str:
    return (
        f"several recipes go by the name {contrast.cell['recipe']!r} here, and each has a verdict of its own; this one "
        f"is of the recipe with the id {contrast.cell['recipe_id']}"
    )


def _apart_note(frame: pd.DataFrame, claim: Claim) -> str:
    """Why runs of both sides make no contrast; empty if one side has no runs."""
    asked = claim.contrast
    wanted = pd.Series(data=True, index=frame.index)
    for name, level in asked.match.items():
        wanted &= frame[name] == level
    levels = set(frame.loc[wanted, asked.axis])
    if not {asked.baseline, asked.treatment} <= levels:
        return ""
    return f"the runs of the two sides differ in more than their {asked.axis}, such as the recipe: there are no pairs"


def _verdict(case: Case, obstacle: str, evidence: Evidence | None) -> Verdict:
    word: Word = "not_tested" if evidence is None or obstacle else decide(case.claim, evidence)
    texts: list[str] = []
    if case.contrast is not None:
        texts = [*([case.note] if case.note else []), *caveats(case.claim, case.contrast, evidence)]
    sentence = _sentence(case, word, obstacle, evidence)
    return Verdict(case.claim, word, sentence, case.label, case.recipe, tuple(texts), evidence)


def _sentence(case: Case, word: Word, obstacle: str, evidence: Evidence | None) -> str:
    """The verdict for a reader of the paper."""
    claim = case.claim
    text = f"claimed {points(claim.claimed_gain)}"
    if evidence is not None:
        text += f", observed {points(evidence.gain)}"
        if evidence.pairs > 1:
            text += f" [{points(evidence.low)}, {points(evidence.high)}]"
        text += f" over {pair_count(evidence.pairs)}"
    if evidence is None or word == "not_tested":
        text += f": not tested; {obstacle}"
    else:
        text += f": {_CONCLUSIONS[word](claim, evidence)}"
    if claim.kind == "analogue":
        here = f"; these runs are {case.label.split(':')[0]}, recipe {case.recipe}" if case.contrast is not None else ""
        text += f" (an analogue: the paper's gain is for {claim.published_for}{here})"
    return text


def _contradicted(claim: Claim, evidence: Evidence) -> str:
    if evidence.p_negative_adjusted < claim.alpha:
        return f"contradicted; it is a significant {'loss' if claim.side == 'greater' else 'rise'}"
    least = claim.claimed_gain - stats.direction(claim.side) * claim.margin
    return f"contradicted; no significant gain, and one of {points(least)} or {_further(claim)} is ruled out"


def _confirmed(claim: Claim, evidence: Evidence) -> str:
    return f"confirmed; as large as claimed, within {claim.margin:.2f}"


def _direction_only(claim: Claim, evidence: Evidence) -> str:
    if evidence.low <= claim.claimed_gain <= evidence.high:
        return f"direction only; a gain, but not shown to lie within {claim.margin:.2f} of the claimed one"
    smaller = abs(evidence.gain) < abs(claim.claimed_gain)
    return f"direction only; {'smaller' if smaller else 'larger'} than claimed"


def _inconclusive(claim: Claim, evidence: Evidence) -> str:
    could = evidence.smallest_gain
    text = (
        f"inconclusive; {pair_count(evidence.pairs)} could have shown a gain of "
        f"{points(stats.direction(claim.side) * could)} or {_further(claim)} (80 % power)"
    )
    if could > abs(claim.claimed_gain) and math.isfinite(evidence.pairs_needed):
        text += f", the claimed one needs about {evidence.pairs_needed:.0f}"
    return text


_CONCLUSIONS: Mapping[Word, Callable[[Claim, Evidence], str]] = {
    "contradicted": _contradicted,
    "confirmed": _confirmed,
    "direction_only": _direction_only,
    "inconclusive": _inconclusive,
}


def _further(claim: Claim) -> str:
    return "more" if claim.side == "greater" else "less"


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value

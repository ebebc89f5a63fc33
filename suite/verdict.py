"""Verdicts: what the runs say about each claim, in one of five words, with every number that led to it.

The words are decided in this order, so that exactly one fits any outcome (design decision 9):

* not_tested: no runs, too few pairs, or a test that can't reach α with them;
* contradicted: significantly negative; or no significant gain, and the interval ends below the claimed
  gain less the margin;
* confirmed: significantly positive, and shown to be the claimed gain within the margin (TOST);
* direction_only: significantly positive, but its size is not shown to be the claimed one;
* inconclusive: the rest.

Significant means: one-sided paired t-test, Holm-adjusted over the claims that are judged together and
could be tested, p < α. Both directions are adjusted, each over the same claims. TOST and the interval are
not adjusted: they only take a word away, or say of a gain that isn't shown that it is smaller than claimed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

import pandas as pd

from suite import stats
from suite.claims import Claim
from suite.contrasts import Contrast, contrasts, failed_trials, is_usual, points, seed_list

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

POWER = 0.8


@dataclass(frozen=True)
class Evidence:
    """What a verdict is decided on. Gains in percentage points; p-values are one-sided.

    low, high: the 95 % t interval. p_equivalent: TOST against the claimed gain ± margin. smallest_gain: what
    so many pairs with this spread show at 80 % power, for one claim alone at α. pairs_needed: how many pairs
    would show the claimed gain at that power. correlation: of the two sides over the pairs.
    """

    pairs: int
    seeds: tuple[int, ...]
    gains: tuple[float, ...]
    baseline_mean: float
    treatment_mean: float
    gain: float
    sd: float
    low: float
    high: float
    p: float
    p_adjusted: float
    p_negative: float
    p_negative_adjusted: float
    p_equivalent: float
    p_sign_flip: float
    smallest_p_sign_flip: float
    claims_judged: int
    smallest_gain: float
    pairs_needed: float
    correlation: float
    environments: tuple[str, ...]


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
        InputError: the frame holds two trainings under one name.
    """
    cases = [_Case(claim, contrast) for claim, contrast in _matched(frame, claims)]
    tested = [case.contrast.gain for case in cases if case.contrast is not None and not case.obstacle]
    greater = iter(stats.holm([gain.p_greater for gain in tested]))
    less = iter(stats.holm([gain.p_less for gain in tested]))
    return [
        _verdict(case, math.nan, math.nan, len(tested))
        if case.obstacle
        else _verdict(case, next(greater), next(less), len(tested))
        for case in cases
    ]


def decide(claim: Claim, evidence: Evidence) -> Word:
    """The word for a claim that could be tested: a function of the numbers alone."""
    least = claim.claimed_gain - claim.margin
    significant = evidence.p_adjusted < claim.alpha
    if evidence.p_negative_adjusted < claim.alpha or (not significant and evidence.high < least):
        return "contradicted"
    if significant:
        return "confirmed" if evidence.p_equivalent < claim.alpha else "direction_only"
    return "inconclusive"


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


@dataclass(frozen=True)
class _Case:
    """A claim with one contrast that it is about, or with none."""

    claim: Claim
    contrast: Contrast | None

    @cached_property
    def obstacle(self) -> str:
        """Why the claim can't be tested with these runs; empty if it can."""
        if self.contrast is None:
            return f"no runs of both sides ({self.label})"
        n, claim = len(self.contrast.seeds), self.claim
        if n < claim.min_pairs:
            return f"{_pairs(n)}, but at least {claim.min_pairs} are needed"
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


def _matched(frame: pd.DataFrame, claims: Sequence[Claim]) -> Iterator[tuple[Claim, Contrast | None]]:
    """Each claim with each contrast that it is about, or with None."""
    found: dict[tuple[str, str, str], list[Contrast]] = {}
    for claim in claims:
        asked = claim.contrast
        key = (asked.axis, asked.baseline, claim.metric)
        if key not in found:
            found[key] = contrasts(frame, *key)
        matching: list[Contrast | None] = [
            contrast
            for contrast in found[key]
            if contrast.treatment.level == asked.treatment
            and all(contrast.cell[name] == level for name, level in asked.match.items())
        ]
        yield from ((claim, contrast) for contrast in matching or [None])


def _verdict(case: _Case, p: float, p_negative: float, judged: int) -> Verdict:
    evidence = None
    if case.contrast is not None and case.contrast.seeds:
        evidence = _evidence(case.claim, case.contrast, p, p_negative, judged)
    word: Word = "not_tested" if evidence is None or case.obstacle else decide(case.claim, evidence)
    sentence = _sentence(case, word, evidence)
    caveats = tuple(_caveats(case, evidence))
    return Verdict(case.claim, word, sentence, case.label, case.recipe, caveats, evidence)


def _evidence(claim: Claim, contrast: Contrast, p: float, p_negative: float, judged: int) -> Evidence:
    gain, gains = contrast.gain, contrast.gains
    means = [stats.spread([side.values[seed] for seed in contrast.seeds]).mean
             for side in (contrast.baseline, contrast.treatment)]  # fmt: skip
    return Evidence(
        pairs=gain.n,
        seeds=contrast.seeds,
        gains=gains,
        baseline_mean=means[0],
        treatment_mean=means[1],
        gain=gain.mean,
        sd=gain.sd,
        low=gain.low,
        high=gain.high,
        p=gain.p_greater,
        p_adjusted=p,
        p_negative=gain.p_less,
        p_negative_adjusted=p_negative,
        p_equivalent=stats.equivalence(gains, claim.claimed_gain, claim.margin),
        p_sign_flip=stats.sign_flip(gains),
        smallest_p_sign_flip=stats.smallest_sign_flip_p(gain.n),
        claims_judged=judged,
        smallest_gain=stats.smallest_gain(gain.n, gain.sd, claim.alpha, POWER),
        pairs_needed=stats.seeds_needed(claim.claimed_gain, gain.sd, claim.alpha, POWER),
        correlation=contrast.correlation,
        environments=contrast.environments,
    )


def _sentence(case: _Case, word: Word, evidence: Evidence | None) -> str:
    """The verdict for a reader of the paper."""
    claim = case.claim
    text = f"claimed {points(claim.claimed_gain)}"
    if evidence is not None:
        text += f", observed {points(evidence.gain)}"
        if evidence.pairs > 1:
            text += f" [{points(evidence.low)}, {points(evidence.high)}]"
        text += f" over {_pairs(evidence.pairs)}"
    if evidence is None or word == "not_tested":
        text += f": not tested; {case.obstacle}"
    else:
        text += f": {_conclusion(claim, word, evidence)}"
    if claim.kind == "analogue":
        here = case.label.split(":")[0] + (f", recipe {case.recipe}" if case.recipe else "")
        text += f" (an analogue: the paper's gain is for {claim.published_for}; these runs are {here})"
    return text


def _conclusion(claim: Claim, word: Word, evidence: Evidence) -> str:
    least = claim.claimed_gain - claim.margin
    if word == "contradicted":
        if evidence.p_negative_adjusted < claim.alpha:
            return "contradicted; it is a significant loss"
        return f"contradicted; no significant gain, and one of {points(least)} or more is ruled out"
    if word == "confirmed":
        return f"confirmed; as large as claimed, within {claim.margin:.2f}"
    if word == "direction_only":
        if evidence.high < claim.claimed_gain:
            return "direction only; smaller than claimed"
        if evidence.low > claim.claimed_gain:
            return "direction only; larger than claimed"
        return f"direction only; a gain, but not shown to lie within {claim.margin:.2f} of the claimed one"
    could = evidence.smallest_gain
    text = f"inconclusive; {_pairs(evidence.pairs)} could have shown a gain of {points(could)} or more (80 % power)"
    if could > claim.claimed_gain and math.isfinite(evidence.pairs_needed):
        text += f", the claimed one needs about {evidence.pairs_needed:.0f}"
    return text


def _caveats(case: _Case, evidence: Evidence | None) -> Iterator[str]:
    claim, contrast = case.claim, case.contrast
    if contrast is None:
        return
    for side in (contrast.baseline, contrast.treatment):
        if side.failures:
            yield f"{side.level}: {failed_trials(side.failures, len(side.values))}"
    if contrast.unpaired:
        yield f"left out, for want of a counterpart: {seed_list(contrast.unpaired)}"
    if contrast.mixed_environments:
        yield f"the two sides ran in different environments: {'; '.join(contrast.environments)}"
    if evidence is None or evidence.pairs < 2:
        return
    room = 100 - evidence.baseline_mean
    if room < claim.claimed_gain:
        yield f"the baseline's {evidence.baseline_mean:.2f} % leave room for a gain of {points(room)} at most"
    if evidence.sd == 0:
        yield "all pairs have the same gain: the interval has no width, and the exact test takes the t-test's place"
    elif evidence.smallest_p_sign_flip >= claim.alpha:
        yield (
            f"the exact sign-flip check can't go below p = {evidence.smallest_p_sign_flip:.3g} with "
            f"{_pairs(evidence.pairs)}: the verdict rests on the t-test, which takes the gains as normally distributed"
        )
    elif (evidence.p < claim.alpha) != (evidence.p_sign_flip < claim.alpha):
        exact, t = evidence.p_sign_flip, evidence.p
        yield f"the exact sign-flip check disagrees with the t-test: p = {exact:.3g}, not {t:.3g}"


def _pairs(n: int) -> str:
    return "no pairs" if n == 0 else "1 pair" if n == 1 else f"{n} pairs"


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value

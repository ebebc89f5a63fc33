"""Verdicts: what the runs say about each claim, in one word, with every number that led to it.

The words of a claim at the paper's own data and budget are decided in this order, so that exactly one fits any
outcome (design decision 9):

* not_tested: no runs, too few pairs, or a test that can't reach α with them;
* contradicted: significantly the other way; or no significant gain, and the interval ends below the claimed
  gain less the margin;
* confirmed: significantly positive, and shown to be the claimed gain within the margin (TOST);
* direction_only: significantly positive, but its size is not shown to be the claimed one;
* inconclusive: the rest.

An analogue, a gain carried over to other data or another budget, has words of its own, since runs elsewhere neither
support nor refute the paper's experiment: not_tested; opposite_here, significantly the other way; gain_here,
significantly positive; no_gain_here, neither, and the interval ends below the claimed gain less the margin; open.

Significant means: one-sided paired t-test, Holm-adjusted over the claims that are judged together and
could be tested, p < α. Both directions are adjusted, each over the same claims. TOST and the interval are
not adjusted: they only take a word away, or say of a gain that isn't shown that it is smaller than claimed.

A claim that fixes `max_pairs` or `sequential` is judged by p-values and an interval that hold at every look
(`suite.verdict.rules`), in the same order of words.

A claim's side is the sign of its gain: "greater" says that the treatment adds accuracy, "less" (of an error, a
cost) that it takes something away; the claimed gain, treatment minus baseline, is then negative. What is said here
of a gain holds for a claim of the other side with all signs turned.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from suite.verdict import stats
from suite.verdict.caveats import caveats, is_provisional, pair_number
from suite.verdict.claims.claim import Claim
from suite.verdict.comparisons import Comparison
from suite.verdict.evidence import Evidence, image_checks
from suite.verdict.matching import Case, find_cases
from suite.verdict.rules import Tests, falls_short, single_look, smallest_p, tests_of
from suite.verdict.sentences import Word, write_sentence

if TYPE_CHECKING:
    from suite.verdict.runs import Frame


@dataclass(frozen=True)
class Verdict:
    """A claim, the word that the runs earn it, and why.

    Args:
        claim: the claim.
        word: what the runs say.
        sentence: the same for a reader of the paper.
        cell: the comparison, in a line.
        recipe: the name of the recipe that its runs share, if there are any.
        caveats: what must be known beside the word.
        evidence: None where there is no pair at all.
        provisional: the word is from fewer pairs than were fixed, by a rule that allows a single look.
        single_look: of a claim that is judged after each pair, the word that the same pairs would have if nobody had
            looked before; None otherwise.
    """

    claim: Claim
    word: Word
    sentence: str
    cell: str
    recipe: str
    caveats: tuple[str, ...]
    evidence: Evidence | None
    provisional: bool = False
    single_look: Word | None = None

    @property
    def smaller(self) -> bool:
        """Whether the gain is shown to be smaller than claimed, by more than the margin, significant or not."""
        return self.word != "not_tested" and self.evidence is not None and self.evidence.smaller


def judge(
    frame: Frame,
    claims: Sequence[Claim],
    *,
    seeds: Sequence[int] | None = None,
    pairs_expected: int | None = None,
    family: Collection[str] | None = None,
) -> list[Verdict]:
    """Judge the claims together: the more of them, the more each must show.

    A claim that several comparisons match (say, of two recipes) gets a verdict for each; one that none
    matches gets one, not_tested. The order is that of the claims.

    Args:
        frame: as `suite.store.load_frame` gives it.
        claims: the claims.
        seeds: the grid's seed indices in their order, by which sequential claims read their pairs; 0, 1, 2, … by
            default.
        pairs_expected: the number of pairs that the grid fixes. With fewer, words by the fixed rule are provisional;
            None: nothing is known of it.
        family: the ids of the sequential claims that can ever have runs: they count in Holm's adjustment before they
            have any. By default all of them.

    Raises:
        InputError: the frame holds two trainings under one name, a finished run without an accuracy, answers to
            the test images that don't fit it, or test sets of two sizes in one comparison.
    """
    return judge_cases(find_cases(frame, claims, seeds), pairs_expected, family)


def judge_cases(
    matched: Iterable[Case], pairs_expected: int | None = None, family: Collection[str] | None = None
) -> list[Verdict]:
    """Judge claims together, each on the comparison that is at hand for it; arguments and errors as for `judge`."""
    cases = list(matched)
    checks = image_checks(case.comparison for case in cases if case.comparison is not None and case.comparison.seeds)
    places: dict[int, int] = {}  # of each case in the family
    tests: list[tuple[Tests, Tests]] = []  # by its own rule, and by a single look
    for case in cases:
        if case.comparison is not None and not case.obstacle:
            gains = case.comparison.gains
            found = tests_of(case.claim, gains), single_look(case.claim, gains)
        elif case.claim.rule != "fixed" and (family is None or case.claim.id in family):
            found = _NOTHING, _NOTHING  # it counts from the start, so that no word changes when its runs come
        else:
            continue
        places[id(case)] = len(tests)
        tests.append(found)
    sides = [[one.p for one, _ in tests], [one.p_opposite for one, _ in tests]]
    once = [[one.p for _, one in tests], [one.p_opposite for _, one in tests]]
    adjusted, adjusted_once = [stats.holm(side) for side in sides], [stats.holm(side) for side in once]
    verdicts = []
    for case in cases:
        p = p_negative = math.nan
        obstacle, place = case.obstacle, places.get(id(case))
        if place is not None and case.comparison is not None and not obstacle:
            p, p_negative = (side[place] for side in adjusted)
            obstacle = _out_of_reach(case, case.comparison, sides, place)
        evidence = word_once = None
        if case.comparison is not None and case.comparison.seeds:
            images = checks.get(id(case.comparison))
            evidence = Evidence(case.claim, case.comparison, p, p_negative, len(tests), images)
            if place is not None and case.claim.rule != "fixed" and not obstacle:
                alone = evidence.single_look
                p_once, negative_once = (side[place] for side in adjusted_once)
                smaller = falls_short(case.claim, alone.interval)
                word_once = _word(case.claim, p_once, negative_once, alone.p_equivalent, smaller=smaller)
        verdicts.append(_verdict(case, obstacle, evidence, word_once, pairs_expected))
    return verdicts


_NOTHING = Tests(1.0, 1.0, 1.0, 1.0, stats.Interval(-math.inf, math.inf))


def _out_of_reach(case: Case, comparison: Comparison, sides: Sequence[Sequence[float]], place: int) -> str:
    """Why equal gains can't reach α beside the other claims, in either direction; empty if they can.

    Only equal gains have a smallest p; the claim still counts among those judged together.
    """
    if not comparison.gain.identical:
        return ""
    n, best = comparison.gain.n, smallest_p(case.claim, comparison.gain.n)
    reached = min(stats.holm([*side[:place], best, *side[place + 1 :]])[place] for side in sides)
    if reached < case.claim.alpha:
        return ""
    test = "in the exact test" if case.claim.rule == "fixed" else "by this claim's rule"
    return (
        f"all {n} gains are equal, and {n} equal gains can't reach p < {case.claim.alpha:g} {test}: "
        f"among the {len(sides[0])} claims judged together, {reached:.2g} at best"
    )


def decide(claim: Claim, evidence: Evidence) -> Word:
    """The word for a claim that could be tested: a function of the numbers alone."""
    p, p_negative = evidence.p_adjusted, evidence.p_negative_adjusted
    return _word(claim, p, p_negative, evidence.p_equivalent, smaller=evidence.smaller)


def _word(claim: Claim, p: float, p_negative: float, p_equivalent: float, *, smaller: bool) -> Word:
    """smaller: the gain is shown to be smaller than the claimed one, by more than the margin."""
    significant = p < claim.alpha
    if claim.kind == "analogue":
        if p_negative < claim.alpha:
            return "opposite_here"
        return "gain_here" if significant else "no_gain_here" if smaller else "open"
    if p_negative < claim.alpha or (not significant and smaller):
        return "contradicted"
    if significant:
        return "confirmed" if p_equivalent < claim.alpha else "direction_only"
    return "inconclusive"


def to_json(verdicts: Iterable[Verdict], together: Mapping[str, Mapping[str, Any]] | None = None) -> str:
    """The verdicts as JSON text, with all their numbers; what is undefined or infinite is null.

    together: what the claims of a table say together, by claim id (`suite.verdict.paper_level.by_claim`).
    """
    objects = [
        {
            "word": verdict.word,
            "provisional": verdict.provisional,
            "single_look": verdict.single_look,
            "smaller_than_claimed": verdict.smaller,
            "together": (together or {}).get(verdict.claim.id),
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


def _verdict(
    case: Case, obstacle: str, evidence: Evidence | None, single_look: Word | None, pairs_expected: int | None
) -> Verdict:
    word: Word = "not_tested" if evidence is None or obstacle else decide(case.claim, evidence)
    texts: list[str] = []
    if case.comparison is not None:
        number = pair_number(case.claim, evidence, pairs_expected) if word != "not_tested" else ""
        texts = [text for text in (case.note, *case.left_out, number) if text]
        texts += caveats(case.claim, case.comparison, evidence)
    sentence = write_sentence(case, word, obstacle, evidence, single_look)
    provisional = word != "not_tested" and is_provisional(case.claim, evidence, pairs_expected)
    return Verdict(
        case.claim, word, sentence, case.label, case.recipe, tuple(texts), evidence, provisional, single_look
    )  # fmt: skip


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value

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

Significant means: one-sided paired t-test, p < α divided by the number of claims in the family (Bonferroni), in either
direction. The family is fixed in the claim file before any run: with a method that steps down, such as Holm's, a
claim's word would change with the progress of the others. TOST and the interval are not adjusted: they only take a
word away, or say of a gain that isn't shown that it is smaller than claimed.

A failed trial takes its pair away, and a word that would not stand with such pairs at their worst is taken away too.

A claim that fixes `max_pairs` or `sequential` is judged by p-values and an interval that hold at every look
(`suite.verdict.rules`), in the same order of words.

A claim's side is the sign of its gain: "greater" says that the treatment adds accuracy, "less" (of an error, a
cost) that it takes something away; the claimed gain, treatment minus baseline, is then negative. What is said here
of a gain holds for a claim of the other side with all signs turned.
"""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from suite.verdict.caveats import caveats, is_provisional, pair_number, worst_case
from suite.verdict.claims.claim import Claim
from suite.verdict.copied_runs import check_copies, losses_of
from suite.verdict.evidence import Evidence, image_checks
from suite.verdict.failures import Bounds
from suite.verdict.matching import Case, find_cases
from suite.verdict.rules import Tests, falls_short, has_fallen_short, single_look, smallest_p
from suite.verdict.sentences import ANALOGUE_WORDS, Word, write_sentence
from suite.verdict.test_images import check_test_images
from suite.verdict.training_curves import Curve, curves_of, last_tenths

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
        obstacle: of a claim that isn't tested, why; empty otherwise.
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
    obstacle: str = ""

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
    history: Frame | None = None,
) -> list[Verdict]:
    """Judge claims. Those of a family share α: the more of them, the more each must show.

    A claim's family is fixed by its file, whatever has run; claims without one are taken as one family. A claim that
    several comparisons match (say, of two recipes) gets a verdict for each, and its share of α is divided among them;
    one that none matches gets one, not_tested. The order is that of the claims.

    Args:
        frame: as `suite.store.load_frame` gives it.
        claims: the claims.
        seeds: the grid's seed indices in their order, by which sequential claims read their pairs; 0, 1, 2, … by
            default.
        pairs_expected: the number of pairs that the grid fixes. With fewer, words by the fixed rule are provisional;
            None: nothing is known of it.
        history: as `suite.store.load_history` gives it. Without it, claims about an epoch aren't tested, and verdicts
            don't say whether the runs had converged.

    Raises:
        InputError: the frame holds two trainings under one name, a finished run without an accuracy, answers to
            the test images that don't fit it, test sets of two sizes in one comparison, or a run that is a copy of
            another seed's.
    """
    check_copies(frame, lambda trials: losses_of(history, trials))
    curves = {} if history is None else curves_of(history)
    return judge_cases(find_cases(frame, claims, seeds, history, pairs_expected), pairs_expected, curves)


def judge_cases(
    matched: Iterable[Case], pairs_expected: int | None = None, curves: Mapping[str, Curve] | None = None
) -> list[Verdict]:
    """Judge claims, each on the comparison that is at hand for it; errors as for `judge`.

    Args:
        matched: the claims with their comparisons.
        pairs_expected: as for `judge`.
        curves: the tested epochs of each run, by trial id.
    """
    verdicts = []
    for case, size in in_families(matched):
        evidence = None
        obstacle = case.obstacle
        if case.comparison is not None and case.comparison.seeds:
            check_test_images(case.comparison)
            images = image_checks(case.claim, case.comparison)
            moved = last_tenths(case.comparison, curves or {})
            evidence = Evidence(case.claim, case.comparison, size, images, case.bounds, not obstacle, moved)
            obstacle = obstacle or _out_of_reach(evidence)
        verdicts.append(_verdict(case, obstacle, evidence, pairs_expected))
    return verdicts


def in_families(matched: Iterable[Case]) -> list[tuple[Case, int]]:
    """The cases, each with the number of claims that share its α."""
    cases = list(matched)
    members: dict[str, set[str]] = defaultdict(set)
    for case in cases:
        if case.claim.family_size is None and not case.claim.obstacle:
            members[case.claim.family].add(case.claim.id)
    times = Counter(case.claim.id for case in cases)
    return [
        (case, (case.claim.family_size or max(len(members[case.claim.family]), 1)) * times[case.claim.id])
        for case in cases
    ]


def _out_of_reach(evidence: Evidence) -> str:
    """Why equal gains can't reach the claim's share of α; empty if they can. Only equal gains have a smallest p."""
    gain, claim = evidence.gain, evidence.claim
    if not gain.identical or (best := evidence.adjusted(smallest_p(claim, gain.n))) < claim.alpha:
        return ""
    test = "in the exact test" if claim.rule == "fixed" else "by this claim's rule"
    return (
        f"all {gain.n} gains are equal, and {gain.n} equal gains can't reach p < {claim.alpha:g} {test}: "
        f"in a family of {evidence.claims_judged} claims, {best:.2g} at best"
    )


def decide(evidence: Evidence) -> Word:
    """The word for a claim that could be tested: a function of the numbers alone.

    By the fixed rule a word must also stand with failed pairs at their worst; otherwise it is taken away.
    """
    word = without_failures(evidence)
    return word if evidence.failures is None else weaker(word, with_failed_pairs(evidence, evidence.failures))


def without_failures(evidence: Evidence) -> Word:
    """The word of the pairs that are there."""
    return _word(evidence, evidence.tests, smaller=evidence.smaller)


def with_failed_pairs(evidence: Evidence, failed: Bounds) -> Word:
    """The word with failed pairs at their worst for whatever would be shown."""
    tests = single_look(evidence.claim, failed.low, failed.high)
    short = has_fallen_short(evidence.claim, failed.high if evidence.claim.side == "greater" else failed.low)
    return _word(evidence, tests, smaller=short)


def decide_once(evidence: Evidence) -> Word:
    """The word by a single look at the same pairs."""
    tests = evidence.single_look
    return _word(evidence, tests, smaller=falls_short(evidence.claim, evidence.gain, tests.interval))


def weaker(word: Word, other: Word) -> Word:
    """The word, unless the other one says less of the same or something else."""
    if word == other or word in _UNDECIDED:
        return word
    if {word, other} == {"confirmed", "direction_only"}:
        return "direction_only"
    return "open" if word in ANALOGUE_WORDS else "inconclusive"


_UNDECIDED: tuple[Word, ...] = ("not_tested", "inconclusive", "open")


def has_a_word(word: Word) -> bool:
    """Whether the runs have decided the claim."""
    return word not in _UNDECIDED


def _word(evidence: Evidence, tests: Tests, *, smaller: bool) -> Word:
    """smaller: the gain is shown to be smaller than the claimed one, by more than the margin."""
    claim, level = evidence.claim, evidence.level
    significant, opposite = tests.p < level, tests.p_opposite < level
    if claim.is_here:
        if opposite:
            return "opposite_here"
        return "gain_here" if significant else "no_gain_here" if smaller else "open"
    if opposite or (not significant and smaller):
        return "contradicted"
    if significant:
        return "confirmed" if tests.p_equivalent < claim.alpha else "direction_only"
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
            "family": None if verdict.evidence is None else verdict.evidence.claims_judged,
            "claim": verdict.claim.model_dump(mode="json"),
            "evidence": None if verdict.evidence is None else verdict.evidence.flat(),
        }
        for verdict in verdicts
    ]
    return json.dumps(_plain(objects), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _verdict(case: Case, obstacle: str, evidence: Evidence | None, pairs_expected: int | None) -> Verdict:
    word: Word = "not_tested"
    once: Word | None = None
    taken: Word | None = None
    if evidence is not None and not obstacle:
        word, before = decide(evidence), without_failures(evidence)
        taken = before if before != word else None
        once = None if case.claim.rule == "fixed" else decide_once(evidence)
    texts: list[str] = []
    if case.comparison is not None:
        number = pair_number(case.claim, evidence, pairs_expected) if word != "not_tested" else ""
        failed = worst_case(evidence, word, taken) if evidence is not None and word != "not_tested" else ""
        texts = [text for text in (case.note, *case.left_out, number, failed) if text]
        texts += caveats(case.claim, case.comparison, evidence)
    sentence = write_sentence(case, word, obstacle, evidence, once, taken)
    provisional = word != "not_tested" and is_provisional(case.claim, evidence, pairs_expected)
    why = obstacle if word == "not_tested" else ""
    return Verdict(case.claim, word, sentence, case.label, case.recipe, tuple(texts), evidence, provisional, once, why)


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value

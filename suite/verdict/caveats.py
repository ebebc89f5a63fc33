"""Caveats: what a reader of a verdict must know beside it. A word never hides how the runs came about."""

from __future__ import annotations

import math
from collections.abc import Iterator

from suite.text import interval, pair_count, points, seed_list
from suite.verdict import stats
from suite.verdict.claims.claim import Claim
from suite.verdict.comparisons import Comparison
from suite.verdict.evidence import Evidence, ImageChecks
from suite.verdict.run_caveats import run_caveats
from suite.verdict.stats.influence import farthest_pair, lacks_room, significance_hangs_on, skewness
from suite.verdict.test_images import lacking
from suite.verdict.training_curves import still_moves

_UNUSUAL = 0.05  # below this probability an outlier or a skewness is told
_BELOW_FLOOR = 0.01  # below this probability a standard deviation that is too small is told
_ENOUGH = 4  # pairs: of three, two that happen to be equal would count as unusual


def caveats(claim: Claim, comparison: Comparison, evidence: Evidence | None) -> Iterator[str]:
    """What stands beside the verdict on a comparison, a text each. evidence: None without pairs."""
    yield from run_caveats(comparison)
    if evidence is None or evidence.pairs < 2:
        return
    side = stats.direction(claim.side)
    baseline = evidence.comparison.means[0]
    upward = side * comparison.measured.sign > 0
    room = 100 - baseline if upward else baseline
    if room < abs(claim.claimed_gain):
        unit = "%" if comparison.measured.unit == "points" else comparison.measured.unit
        text = f"the baseline's {baseline:.2f} {unit} leave room for a gain of {points(side * room)} at most"
        if lacks_room(100 - room if side > 0 else room, claim.claimed_gain, claim.margin, claim.side):
            text += ", which is less than the claimed one less the margin: no runs could show that"
        yield text
    yield from _convergence(evidence)
    yield from _paper_runs(claim, evidence)
    yield from _lopsided(claim, evidence)
    yield from _interval(claim, evidence)
    yield from _exact_test(claim, evidence)
    yield from _test_images(claim, evidence)


def is_provisional(claim: Claim, evidence: Evidence | None, pairs_expected: int | None) -> bool:
    """Whether a word by the fixed rule is from fewer pairs than were fixed."""
    return (
        claim.rule == "fixed"
        and evidence is not None
        and pairs_expected is not None
        and evidence.pairs < pairs_expected
    )


def pair_number(claim: Claim, evidence: Evidence | None, pairs_expected: int | None) -> str:
    """What must be said if the number of pairs isn't the one that was fixed; empty if it is, or where none is known."""
    if claim.rule != "fixed" or evidence is None or pairs_expected is None or evidence.pairs == pairs_expected:
        return ""
    if evidence.pairs < pairs_expected:
        return (
            f"provisional: {evidence.pairs} of the {pairs_expected} pairs that the grid fixes; the test allows a "
            "single look, at all of them"
        )
    return (
        f"the grid fixes {pairs_expected} pairs, and these are {evidence.pairs}: if pairs were added because of an "
        "earlier word, the error rates don't hold; max_pairs in the claim file allows for that"
    )


def worst_case(evidence: Evidence, word: str, taken: str | None) -> str:
    """What failed pairs at their worst would make of the gain; empty where none failed, or none is let in."""
    failed = evidence.failures or evidence.bounds
    if failed is None:
        return ""
    low, high = stats.paired_gain(failed.low), stats.paired_gain(failed.high)
    text = (
        f"{seed_list(failed.failed)} failed: with these pairs at their worst and at their best the gain is "
        f"{points(low.mean)} {interval(low.low, low.high)} and {points(high.mean)} {interval(high.low, high.high)}"
    )
    if evidence.bounds is not None:
        return f"{text}; each test takes what is worse for it"
    if taken is not None:
        return f"{text}; {taken.replace('_', ' ')} doesn't stand"
    return f"{text}; {word.replace('_', ' ')} either way"


def _convergence(evidence: Evidence) -> Iterator[str]:
    """Which sides still change at the end of training."""
    compared = evidence.comparison
    sides = zip((compared.baseline.level, compared.treatment.level), evidence.last_tenths, strict=True)
    if moving := [f"{level} by {points(moved)} points" for level, moved in sides if still_moves(moved)]:
        yield (
            f"not converged: the last tenth of training still changes the accuracy of {' and of '.join(moving)}; after "
            "longer training the gain may be another"
        )


def _paper_runs(claim: Claim, evidence: Evidence) -> Iterator[str]:
    """Where the paper's own runs may explain that our gain falls short."""
    short = evidence.interval.high < claim.claimed_gain - claim.margin if claim.side == "greater" else False
    if claim.kind == "published" and short and not evidence.smaller:
        runs = claim.published_runs
        mean = "one run (their number isn't known)" if runs is None else f"{runs} run{'s' if runs > 1 else ''}"
        ends = evidence.prediction
        yield (
            f"the interval ends below the claimed gain less the margin, but the paper's gain is of {mean}, which by "
            f"this spread would show {interval(ends.low, ends.high)}: the difference may be chance on the paper's side"
        )


def _lopsided(claim: Claim, evidence: Evidence) -> Iterator[str]:
    """What the t-test can't see: one pair far from the others, and gains with a long tail on one side."""
    gains, seeds = evidence.comparison.gains, evidence.comparison.seeds
    if len(gains) < _ENOUGH:
        return
    far = farthest_pair(gains)
    if far is not None and far.p_outlier < _UNUSUAL:
        text = (
            f"seed {seeds[far.place]}'s gain of {points(far.gain)} lies far from the others (p = {far.p_outlier:.2g}); "
            f"without it the gain is {points(far.without.mean)} {interval(far.without.low, far.without.high)}"
        )
        if claim.rule == "fixed" and far.place in significance_hangs_on(gains, claim.alpha, claim.side):
            text += ", and the test would say otherwise"
        yield text
    skew = skewness(gains)
    if skew.p < _UNUSUAL:
        yield (
            f"the gains are skewed (skewness {points(skew.value)}, p = {skew.p:.2g}): the tests, which take them as "
            "symmetric, are then wrong more often than they say"
        )


def _interval(claim: Claim, evidence: Evidence) -> Iterator[str]:
    """Where the interval, two-sided and not adjusted, seems to say something else than the test that decides."""
    if evidence.gain.sd == 0 or math.isnan(evidence.p_adjusted):
        return
    side = stats.direction(claim.side)
    significant = evidence.p_adjusted < claim.alpha
    excludes = min(side * evidence.interval.low, side * evidence.interval.high) > 0
    adjusted = f" (for a family of {evidence.claims_judged} claims)" if evidence.claims_judged > 1 else ""
    if significant and not excludes:
        yield (
            f"the 95 % interval is two-sided and contains zero; the test that decides is one-sided, with "
            f"p = {evidence.p_adjusted:.3g}{adjusted}"
        )
    elif excludes and not significant:
        yield f"the 95 % interval excludes zero, but the test that decides has p = {evidence.p_adjusted:.3g}{adjusted}"


def _exact_test(claim: Claim, evidence: Evidence) -> Iterator[str]:
    best, best_adjusted = evidence.smallest_p_sign_flip, evidence.smallest_p_sign_flip_adjusted
    if math.isnan(evidence.p_adjusted) and not evidence.gain.identical:
        return  # no test was made
    if evidence.gain.identical:
        yield "all pairs have the same gain: the interval has no width, and the exact test takes the t-test's place"
    elif claim.rule != "fixed":
        return  # the exact check is of a single look
    elif best_adjusted >= claim.alpha:
        adjusted = (
            f" ({best_adjusted:.3g} in a family of {evidence.claims_judged} claims)" if best_adjusted > best else ""
        )
        yield (
            f"the exact sign-flip check can't go below p = {best:.3g}{adjusted} with {pair_count(evidence.pairs)}: the "
            "verdict rests on the t-test, which takes the gains as normally distributed"
        )
    if exact_test_disagrees(claim, evidence):
        exact, t = evidence.p_sign_flip, evidence.p
        yield f"the exact sign-flip check disagrees with the t-test: p = {exact:.3g}, not {t:.3g}"


def exact_test_disagrees(claim: Claim, evidence: Evidence) -> bool:
    """Whether only one of the t-test and the exact sign-flip test is below α, neither adjusted."""
    return (
        claim.rule == "fixed"
        and evidence.gain.sd > 0
        and evidence.smallest_p_sign_flip < claim.alpha
        and (evidence.p < claim.alpha) != (evidence.p_sign_flip < claim.alpha)
    )


def _test_images(claim: Claim, evidence: Evidence) -> Iterator[str]:
    if not evidence.comparison.of_last_epoch and claim.epoch is not None:
        yield (
            f"accuracies are of epoch {claim.epoch}, at the learning rate of a longer training; the checks on single "
            "test images, whose answers are of the last epoch, are left out"
        )
    elif not evidence.comparison.of_last_epoch and evidence.comparison.metric == "top1_best_validation":
        yield (
            "accuracies are of the best epoch on the validation images; the checks on single test images, whose "
            "answers are of the last epoch, are left out"
        )
    elif not evidence.comparison.of_last_epoch:
        yield (
            "accuracies are of the best epoch on the test set, which is optimistic, as the paper's are taken to be; "
            "the checks on single test images, whose answers are of the last epoch, are left out"
        )
    images = evidence.images
    if evidence.comparison.measured.items == "" and images is None:
        yield "the checks on single test images are left out: the metric isn't a mean of answers to single images"
        return
    if evidence.comparison.measured.items == "wrong_copies" and images is None:
        return  # of other images: `run_caveats` says so
    if images is None:
        if evidence.comparison.of_last_epoch and evidence.comparison.axis != "dataset":
            yield (
                f"{lacking(evidence.comparison)} of {2 * evidence.pairs} runs keep no answers to the single test "
                "images: the checks on these are left out"
            )
        return
    if not any(images.gained) and not any(images.lost):
        yield "both sides of every pair gave the same answers: the treatment may have no effect at all"
    side, ends = stats.direction(claim.side), images.interval
    by_pairs = min(side * evidence.interval.low, side * evidence.interval.high) > 0
    by_images = min(side * ends.low, side * ends.high) > 0
    if by_pairs and not by_images:
        yield (
            f"the interval over seeds and test images doesn't exclude zero: {interval(ends.low, ends.high)}; other "
            "images might show no gain"
        )
    crossed = images.crossed
    if crossed.p_below_floor < _BELOW_FLOOR:
        yield (
            f"the gains' standard deviation of {crossed.sd:.2f} is below the {crossed.floor:.2f} that the noise of "
            f"single answers implies (p = {crossed.p_below_floor:.2g}): these runs are more alike than separate ones "
            "can be, or agree by chance; the interval is then too narrow"
        )
    yield from _single_pairs(claim, evidence, images)


def _single_pairs(claim: Claim, evidence: Evidence, images: ImageChecks) -> Iterator[str]:
    """Where McNemar's tests, Holm-adjusted over the pairs, don't say what the t-test over pairs says.

    Of several copies of each image they are sign tests: which side has fewer wrong answers to an image's copies. So are
    those of a mean intersection over union: to which side's an image adds more.
    """
    side = stats.direction(claim.side)
    shown = [
        (side * (more - less) > 0)
        for more, less, p in zip(images.gained, images.lost, stats.holm(images.p_mcnemar), strict=True)
        if p < claim.alpha
    ]
    answers = evidence.comparison.measured.items == "correct"
    against, test = shown.count(False), "McNemar's" if answers else "the sign"
    if evidence.p_adjusted < claim.alpha and against:
        yield f"{test} test finds the opposite in {against} of {pair_count(evidence.pairs)}"
    if evidence.p_adjusted >= claim.alpha and len(shown) == evidence.pairs and not against:
        yield (
            f"{test} test finds the gain in every pair, and the t-test none over them: the gains vary more from "
            "seed to seed than the test images explain"
        )

"""Caveats: what a reader of a verdict must know beside it. A word never hides how the runs came about."""

from __future__ import annotations

import math
from collections.abc import Iterator

from suite.data.datasets import DATASETS
from suite.text import pair_count, points, seed_list
from suite.verdict import stats
from suite.verdict.claims.claim import Claim
from suite.verdict.comparisons import Contrast, Side
from suite.verdict.evidence import Evidence
from suite.verdict.runs import failed_trials
from suite.verdict.test_images import copies, lacking


def caveats(claim: Claim, contrast: Contrast, evidence: Evidence | None) -> Iterator[str]:
    """What stands beside the verdict on a contrast, a text each. evidence: None without pairs."""
    yield from _runs(contrast)
    if evidence is None or evidence.pairs < 2:
        return
    side = stats.direction(claim.side)
    room = 100 - evidence.baseline_mean if side > 0 else evidence.baseline_mean
    if room < abs(claim.claimed_gain):
        yield f"the baseline's {evidence.baseline_mean:.2f} % leave room for a gain of {points(side * room)} at most"
    yield from _interval(claim, evidence)
    yield from _exact_test(claim, evidence)
    yield from _test_images(claim, contrast, evidence)


def _runs(contrast: Contrast) -> Iterator[str]:
    """How the runs came about."""
    sides = (contrast.baseline, contrast.treatment)
    for side in sides:
        if side.failures:
            yield f"{side.level}: {failed_trials(side.failures, len(side.values))}"
    if contrast.unpaired:
        yield f"left out, for want of a counterpart: {seed_list(contrast.unpaired)}"
    if contrast.mixed_environments:
        yield f"the two sides ran in different environments: {'; '.join(contrast.environments)}"
    for side in sides:
        if alike := copies(side):
            yield (
                f"{side.level}: {seed_list(alike)} gave bit by bit the answers of another seed; two trainings hardly "
                "ever do, and one that counts twice makes the gain look surer than it is"
            )
        yield from _near_chance(contrast, side)
    values = [value for side in sides for value in side.values.values()]
    if values and max(values) <= 1:
        yield "all accuracies lie between 0 and 1: they look like fractions, where percentages are expected"


def _near_chance(contrast: Contrast, side: Side) -> Iterator[str]:
    dataset = side.level if contrast.axis == "dataset" else contrast.cell["dataset"]
    if dataset not in DATASETS:
        return
    chance = 100 / DATASETS[dataset].num_classes
    if collapsed := [seed for seed, value in side.values.items() if value <= 1.5 * chance]:
        yield f"{side.level}: {seed_list(collapsed)} ended near the {chance:g} % of chance: a collapse is no baseline"


def _interval(claim: Claim, evidence: Evidence) -> Iterator[str]:
    """Where the interval, two-sided and not adjusted, seems to say something else than the test that decides."""
    if evidence.sd == 0 or math.isnan(evidence.p_adjusted):
        return
    side = stats.direction(claim.side)
    significant = evidence.p_adjusted < claim.alpha
    excludes = min(side * evidence.low, side * evidence.high) > 0
    adjusted = f" (adjusted for {evidence.claims_judged} claims)" if evidence.claims_judged > 1 else ""
    if significant and not excludes:
        yield (
            f"the 95 % interval is two-sided and contains zero; the test that decides is one-sided, with "
            f"p = {evidence.p_adjusted:.3g}{adjusted}"
        )
    elif excludes and not significant:
        yield f"the 95 % interval excludes zero, but the test that decides has p = {evidence.p_adjusted:.3g}{adjusted}"


def _exact_test(claim: Claim, evidence: Evidence) -> Iterator[str]:
    best, best_adjusted = evidence.smallest_p_sign_flip, evidence.smallest_p_sign_flip_adjusted
    if evidence.sd == 0 or math.isnan(evidence.p_adjusted):
        yield "all pairs have the same gain: the interval has no width, and the exact test takes the t-test's place"
    elif best_adjusted >= claim.alpha:
        adjusted = (
            f" ({best_adjusted:.3g} adjusted for {evidence.claims_judged} claims)" if best_adjusted > best else ""
        )
        yield (
            f"the exact sign-flip check can't go below p = {best:.3g}{adjusted} with {pair_count(evidence.pairs)}: the "
            "verdict rests on the t-test, which takes the gains as normally distributed"
        )
    if evidence.sd > 0 and best < claim.alpha and (evidence.p < claim.alpha) != (evidence.p_sign_flip < claim.alpha):
        exact, t = evidence.p_sign_flip, evidence.p
        yield f"the exact sign-flip check disagrees with the t-test: p = {exact:.3g}, not {t:.3g}"


def _test_images(claim: Claim, contrast: Contrast, evidence: Evidence) -> Iterator[str]:
    if claim.metric == "top1_best_epoch":
        yield (
            "accuracies are of the best epoch on the test set, which is optimistic, as the paper's are taken to be; "
            "the checks on single test images, whose answers are of the last epoch, are left out"
        )
    if evidence.images_gained is None or evidence.images_lost is None or evidence.p_mcnemar is None:
        if claim.metric == "top1" and contrast.axis != "dataset":
            yield (
                f"{lacking(contrast)} of {2 * evidence.pairs} runs keep no answers to the single test images: the "
                "checks on these are left out"
            )
        return
    if not any(evidence.images_gained) and not any(evidence.images_lost):
        yield "both sides of every pair gave the same answers: the treatment may have no effect at all"
    side = stats.direction(claim.side)
    by_pairs = min(side * evidence.low, side * evidence.high) > 0
    by_images = min(side * evidence.bootstrap_low, side * evidence.bootstrap_high) > 0
    interval = f"[{points(evidence.bootstrap_low)}, {points(evidence.bootstrap_high)}]"
    if by_pairs and not by_images:
        yield (
            f"the bootstrap over pairs and test images doesn't exclude zero: {interval}; other images might show no "
            "gain"
        )
    elif by_images and not by_pairs:
        yield (
            f"the bootstrap over pairs and test images excludes zero, and the t interval doesn't: {interval}; of "
            f"{pair_count(evidence.pairs)} it is too narrow"
        )
    yield from _single_pairs(claim, evidence, evidence.images_gained, evidence.images_lost, evidence.p_mcnemar)


def _single_pairs(
    claim: Claim, evidence: Evidence, gained: tuple[int, ...], lost: tuple[int, ...], p_values: tuple[float, ...]
) -> Iterator[str]:
    """Where McNemar's tests, Holm-adjusted over the pairs, don't say what the t-test over pairs says."""
    side = stats.direction(claim.side)
    shown = [
        (side * (more - less) > 0)
        for more, less, p in zip(gained, lost, stats.holm(p_values), strict=True)
        if p < claim.alpha
    ]
    against = shown.count(False)
    if evidence.p_adjusted < claim.alpha and against:
        yield f"McNemar's test finds the opposite in {against} of {pair_count(evidence.pairs)}"
    if evidence.p_adjusted >= claim.alpha and len(shown) == evidence.pairs and not against:
        yield (
            "McNemar's test finds the gain in every pair, and the t-test none over them: the gains vary more from "
            "seed to seed than the test images explain"
        )

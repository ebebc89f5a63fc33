"""Evidence: every number that a verdict is decided on, and those that check it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from suite.store.canonical import derive_seed
from suite.verdict import stats
from suite.verdict.claims.claim import Claim
from suite.verdict.comparisons import Contrast
from suite.verdict.test_images import check_test_images, differences

POWER = 0.8


@dataclass(frozen=True)
class Evidence:
    """What a verdict is decided on. Gains in percentage points; p-values are one-sided unless it is said.

    low, high: the 95 % t interval. p: that there is no gain on the claimed side; p_negative: none on the other.
    Adjusted ones are Holm's, over `claims_judged`. p_equivalent: TOST against the claimed gain ± margin.
    smallest_p_sign_flip: what the exact check gives at best with so many pairs, and at best for the first of so
    many claims. smallest_gain: what so many pairs with this spread show at 80 % power, for one claim alone at α.
    pairs_needed: how many pairs would show the claimed gain at that power. correlation: of the two sides over the
    pairs.

    Of the test images, if every run kept its answers (else null): bootstrap_low and _high, the 95 % interval over
    pairs and test images; pair by pair, the number of images that only the treatment (gained) or only the
    baseline (lost) got right, and McNemar's exact two-sided p for them.
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
    smallest_p_sign_flip_adjusted: float
    claims_judged: int
    smallest_gain: float
    pairs_needed: float
    correlation: float
    environments: tuple[str, ...]
    test_images: int | None
    bootstrap_low: float
    bootstrap_high: float
    images_gained: tuple[int, ...] | None
    images_lost: tuple[int, ...] | None
    p_mcnemar: tuple[float, ...] | None


@dataclass(frozen=True)
class ImageChecks:
    """What the single test images say about a contrast; see `Evidence`."""

    images: int
    interval: stats.Interval
    gained: tuple[int, ...]
    lost: tuple[int, ...]
    p_mcnemar: tuple[float, ...]


def image_checks(contrasts: Iterable[Contrast]) -> dict[int, ImageChecks]:
    """The checks of each contrast whose runs kept their answers, by the `id` of the object.

    The draws of pairs are seeded with the trials' ids, those of images with the test set: a contrast has the
    same interval whatever else is judged.

    Raises:
        InputError: a run's answers are damaged, or don't fit its accuracy or those of the other runs.
    """
    by_test_set: dict[tuple[str, int], list[tuple[Contrast, stats.Differences]]] = {}
    for contrast in {id(one): one for one in contrasts}.values():
        check_test_images(contrast)
        found = differences(contrast)
        if found is not None:
            by_test_set.setdefault((contrast.cell["dataset"], found.shape[1]), []).append((contrast, found))
    checks = {}
    for test_set, members in by_test_set.items():
        intervals = stats.bootstrap_gains(
            [found for _, found in members],
            [derive_seed("pairs", *_trials(contrast)) for contrast, _ in members],
            derive_seed("test images", *test_set),
        )
        for (contrast, found), interval in zip(members, intervals, strict=True):
            gained, lost = np.sum(found == 1, axis=1), np.sum(found == -1, axis=1)
            checks[id(contrast)] = ImageChecks(
                found.shape[1],
                interval,
                tuple(gained.tolist()),
                tuple(lost.tolist()),
                tuple(stats.mcnemar(gained, lost).tolist()),
            )
    return checks


def gather(
    claim: Claim, contrast: Contrast, p: float, p_negative: float, judged: int, checks: ImageChecks | None
) -> Evidence:
    """The evidence of a contrast with at least one pair. p, p_negative: adjusted over the claims judged."""
    gain, gains = contrast.gain, contrast.gains
    means = [stats.spread([side.values[seed] for seed in contrast.seeds]).mean
             for side in (contrast.baseline, contrast.treatment)]  # fmt: skip
    raw = raw_p(claim, contrast)
    smallest = stats.smallest_sign_flip_p(gain.n)
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
        p=raw[0],
        p_adjusted=p,
        p_negative=raw[1],
        p_negative_adjusted=p_negative,
        p_equivalent=stats.equivalence(gains, claim.claimed_gain, claim.margin),
        p_sign_flip=stats.sign_flip(gains, claim.side),
        smallest_p_sign_flip=smallest,
        smallest_p_sign_flip_adjusted=min(1.0, max(judged, 1) * smallest),
        claims_judged=judged,
        smallest_gain=stats.smallest_gain(gain.n, gain.sd, claim.alpha, POWER),
        pairs_needed=stats.seeds_needed(stats.direction(claim.side) * claim.claimed_gain, gain.sd, claim.alpha, POWER),
        correlation=contrast.correlation,
        environments=contrast.environments,
        test_images=None if checks is None else checks.images,
        bootstrap_low=math.nan if checks is None else checks.interval.low,
        bootstrap_high=math.nan if checks is None else checks.interval.high,
        images_gained=None if checks is None else checks.gained,
        images_lost=None if checks is None else checks.lost,
        p_mcnemar=None if checks is None else checks.p_mcnemar,
    )


def raw_p(claim: Claim, contrast: Contrast) -> tuple[float, float]:
    """The one-sided p-values on the claimed side and on the other, not adjusted."""
    gain = contrast.gain
    return (gain.p_greater, gain.p_less) if claim.side == "greater" else (gain.p_less, gain.p_greater)


def _trials(contrast: Contrast) -> Sequence[str]:
    return [side.trials[seed] for seed in contrast.seeds for side in (contrast.baseline, contrast.treatment)]

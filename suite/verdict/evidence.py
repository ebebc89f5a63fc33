"""Evidence: every number that a verdict is decided on, and those that check it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from suite.store.canonical import derive_seed
from suite.verdict import stats
from suite.verdict.claims.claim import Claim
from suite.verdict.comparisons import Comparison
from suite.verdict.rules import SMALLER_LEVEL, Tests, falls_short, single_look, tests_of
from suite.verdict.test_images import check_test_images, differences

POWER = 0.8


@dataclass(frozen=True)
class ImageChecks:
    """What the single test images say about a comparison.

    Args:
        images: the number of test images.
        interval: the 95 % bootstrap interval over pairs and test images.
        gained: pair by pair, how many images only the treatment got right.
        lost: pair by pair, how many images only the baseline got right.
        p_mcnemar: pair by pair, McNemar's exact two-sided p.
    """

    images: int
    interval: stats.Interval
    gained: tuple[int, ...]
    lost: tuple[int, ...]
    p_mcnemar: tuple[float, ...]


@dataclass(frozen=True)
class Evidence:
    """What a verdict is decided on. p-values are one-sided unless it is said; gains are in percentage points.

    Args:
        claim: the claim that is judged.
        comparison: the runs, with at least one pair.
        p_adjusted: Holm-adjusted p of no gain on the claimed side.
        p_negative_adjusted: Holm-adjusted p of no gain on the other side.
        claims_judged: over how many claims Holm's adjustment is.
        images: the checks of single test images, if every run kept its answers.
    """

    claim: Claim
    comparison: Comparison
    p_adjusted: float
    p_negative_adjusted: float
    claims_judged: int
    images: ImageChecks | None

    @property
    def gain(self) -> stats.PairedGain:
        """The paired t-test of the gains."""
        return self.comparison.gain

    @property
    def pairs(self) -> int:
        """How many pairs there are."""
        return self.gain.n

    @property
    def p(self) -> float:
        """No gain on the claimed side, not adjusted."""
        return self.tests.p

    @property
    def p_negative(self) -> float:
        """No gain on the other side, not adjusted."""
        return self.tests.p_opposite

    @cached_property
    def tests(self) -> Tests:
        """What the claim's rule says of the gains."""
        return tests_of(self.claim, self.comparison.gains)

    @cached_property
    def single_look(self) -> Tests:
        """What the same gains would say if nobody had looked before."""
        return single_look(self.claim, self.comparison.gains)

    @cached_property
    def interval(self) -> stats.Interval:
        """The 95 % interval of the claim's rule: it holds at all looks together if the rule is sequential."""
        gain = self.gain
        return stats.Interval(gain.low, gain.high) if self.claim.rule == "fixed" else self.tests.interval

    @property
    def smaller(self) -> bool:
        """Whether the gain is shown to be smaller than the claimed one, by more than the margin."""
        if self.claim.rule == "fixed":
            return falls_short(self.claim, self.interval)
        return self.p_smaller < SMALLER_LEVEL

    @cached_property
    def p_equivalent(self) -> float:
        """TOST against the claimed gain ± margin."""
        return self.tests.p_equivalent

    @property
    def p_smaller(self) -> float:
        """A gain of at least the claimed one less the margin."""
        return self.tests.p_smaller

    @cached_property
    def p_sign_flip(self) -> float:
        """The exact check of `p`."""
        return stats.sign_flip(self.comparison.gains, self.claim.side)

    @property
    def smallest_p_sign_flip(self) -> float:
        """What the exact check gives at best with so many pairs."""
        return stats.smallest_sign_flip_p(self.pairs)

    @property
    def smallest_p_sign_flip_adjusted(self) -> float:
        """What the exact check gives at best for the first of so many claims."""
        return min(1.0, max(self.claims_judged, 1) * self.smallest_p_sign_flip)

    @cached_property
    def smallest_gain(self) -> float:
        """The gain that so many pairs with this spread show at 80 % power, for one claim alone at α."""
        return stats.smallest_gain(self.pairs, self.gain.sd, self.claim.alpha, POWER)

    @cached_property
    def pairs_needed(self) -> float:
        """How many pairs would show the claimed gain at that power."""
        claimed = stats.direction(self.claim.side) * self.claim.claimed_gain
        return stats.seeds_needed(claimed, self.gain.sd, self.claim.alpha, POWER)

    def flat(self) -> dict[str, Any]:
        """All numbers under the names that they have in verdicts.json."""
        compared, gain, images = self.comparison, self.gain, self.images
        return {
            "pairs": gain.n,
            "seeds": compared.seeds,
            "gains": compared.gains,
            "baseline_mean": compared.means[0],
            "treatment_mean": compared.means[1],
            "gain": gain.mean,
            "sd": gain.sd,
            "low": gain.low,
            "high": gain.high,
            "rule": self.claim.rule,
            "rule_low": self.interval.low,
            "rule_high": self.interval.high,
            **{name: getattr(self, name) for name in _TESTS},
            "correlation": compared.correlation,
            "environments": compared.environments,
            "test_images": None if images is None else images.images,
            "bootstrap_low": math.nan if images is None else images.interval.low,
            "bootstrap_high": math.nan if images is None else images.interval.high,
            "images_gained": None if images is None else images.gained,
            "images_lost": None if images is None else images.lost,
            "p_mcnemar": None if images is None else images.p_mcnemar,
        }


_TESTS = (
    "p", "p_adjusted", "p_negative", "p_negative_adjusted", "p_equivalent", "p_smaller", "p_sign_flip",
    "smallest_p_sign_flip", "smallest_p_sign_flip_adjusted", "claims_judged", "smallest_gain", "pairs_needed",
)  # fmt: skip


def image_checks(compared: Iterable[Comparison]) -> dict[int, ImageChecks]:
    """The checks of each comparison whose runs kept their answers, by the `id` of the object.

    The draws of pairs are seeded with the trials' ids, those of images with the test set: a comparison has the
    same interval whatever else is judged.

    Raises:
        InputError: a run's answers are damaged, or don't fit its accuracy or those of the other runs.
    """
    by_test_set: dict[tuple[str, int], list[tuple[Comparison, stats.Differences]]] = {}
    for comparison in {id(one): one for one in compared}.values():
        check_test_images(comparison)
        found = differences(comparison)
        if found is not None:
            by_test_set.setdefault((comparison.cell["dataset"], found.shape[1]), []).append((comparison, found))
    checks = {}
    for test_set, members in by_test_set.items():
        intervals = stats.bootstrap_gains(
            [found for _, found in members],
            [derive_seed("pairs", *_trials(comparison)) for comparison, _ in members],
            derive_seed("test images", *test_set),
        )
        for (comparison, found), interval in zip(members, intervals, strict=True):
            gained, lost = np.sum(found == 1, axis=1), np.sum(found == -1, axis=1)
            checks[id(comparison)] = ImageChecks(
                found.shape[1],
                interval,
                tuple(gained.tolist()),
                tuple(lost.tolist()),
                tuple(stats.mcnemar(gained, lost).tolist()),
            )
    return checks


def _trials(comparison: Comparison) -> Sequence[str]:
    return [side.trials[seed] for seed in comparison.seeds for side in (comparison.baseline, comparison.treatment)]

"""Evidence: every number that a verdict is decided on, and those that check it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from suite.verdict import stats
from suite.verdict.chosen import chosen_level
from suite.verdict.claims.claim import Claim
from suite.verdict.comparisons import Comparison
from suite.verdict.failures import Bounds, with_failures
from suite.verdict.rules import Tests, has_fallen_short, single_look, tests_of
from suite.verdict.stats.crossed import CrossedInterval, crossed_interval
from suite.verdict.stats.published import prediction_interval
from suite.verdict.stats.sequential import FIRST_LOOK, critical_t
from suite.verdict.test_images import copies_of_images, differences

POWER = 0.8


@dataclass(frozen=True)
class ImageChecks:
    """What the single test images say about a comparison.

    Args:
        images: the number of test images.
        crossed: the 95 % interval over seeds and test images; by a claim's largest number of pairs it holds at every
            look.
        gained: pair by pair, how many images only the treatment got right.
        lost: pair by pair, how many images only the baseline got right.
        p_mcnemar: pair by pair, McNemar's exact two-sided p; of several copies of each image, the p of a sign test.
        copies: how many copies of each image were tested. If there are several, an image is gained if the treatment
            got more of its copies right. Of a mean intersection over union, it is gained if it adds more to the
            treatment's.
    """

    images: int
    crossed: CrossedInterval
    gained: tuple[int, ...]
    lost: tuple[int, ...]
    p_mcnemar: tuple[float, ...]
    copies: int = 1

    @property
    def interval(self) -> stats.Interval:
        """The ends of the crossed interval."""
        return stats.Interval(self.crossed.low, self.crossed.high)


@dataclass(frozen=True)
class Evidence:
    """What a verdict is decided on. p-values are one-sided unless it is said; gains are in percentage points.

    Args:
        claim: the claim that is judged.
        comparison: the runs, with at least one pair.
        claims_judged: how many claims share the claim's α.
        images: the checks of single test images, if every run kept its answers.
        bounds: the gains with failed pairs at their worst, where the claim's rule lets them enter.
        tested: whether the claim could be tested.
        last_tenths: of both sides, by how many points the last tenth of training changes top-1, a mean over the pairs;
            NaN where it isn't known.
    """

    claim: Claim
    comparison: Comparison
    claims_judged: int = 1
    images: ImageChecks | None = None
    bounds: Bounds | None = None
    tested: bool = True
    last_tenths: tuple[float, float] = (math.nan, math.nan)

    @property
    def gain(self) -> stats.PairedGain:
        """The paired t-test of the gains."""
        return self.comparison.gain

    @property
    def pairs(self) -> int:
        """How many pairs there are; with failed ones, where these enter at their worst."""
        return self.gain.n if self.bounds is None else len(self.bounds.seeds)

    @property
    def level(self) -> float:
        """What the claim's own p-values must fall below: its family's share of α."""
        return self.claim.alpha / max(self.claims_judged, 1)

    @property
    def p_adjusted(self) -> float:
        """P of no gain on the claimed side, adjusted for the family (Bonferroni); NaN if it couldn't be tested."""
        return self.adjusted(self.p)

    @property
    def p_negative_adjusted(self) -> float:
        """P of no gain on the other side, adjusted in the same way."""
        return self.adjusted(self.p_negative)

    def adjusted(self, p: float) -> float:
        """A p-value of this claim, adjusted for its family."""
        return min(1.0, max(self.claims_judged, 1) * p) if self.tested else math.nan

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
        return tests_of(self.claim, *self._gains)

    @cached_property
    def single_look(self) -> Tests:
        """What the same gains would say if nobody had looked before."""
        return single_look(self.claim, *self._gains)

    @property
    def _gains(self) -> tuple[Sequence[float], Sequence[float] | None]:
        return (self.comparison.gains, None) if self.bounds is None else (self.bounds.low, self.bounds.high)

    @cached_property
    def failures(self) -> Bounds | None:
        """By the fixed rule: the gains of all pairs with failed ones at their worst; None if none failed."""
        return with_failures(self.comparison) if self.claim.rule == "fixed" else None

    @cached_property
    def interval(self) -> stats.Interval:
        """The 95 % interval of the claim's rule: it holds at all looks together if the rule is sequential."""
        gain = self.gain
        return stats.Interval(gain.low, gain.high) if self.claim.rule == "fixed" else self.tests.interval

    @cached_property
    def smaller(self) -> bool:
        """Whether the gain is shown to be smaller than the claimed one, by more than the margin."""
        gains, highest = self._gains
        return has_fallen_short(
            self.claim, gains if highest is None or stats.direction(self.claim.side) < 0 else highest
        )

    @cached_property
    def prediction(self) -> stats.Interval:
        """Where the mean gain of as many runs as the paper's (one, if it isn't known) would lie, by these gains."""
        found = prediction_interval(self.comparison.gains, published_runs=self.claim.published_runs or 1)
        return stats.Interval(found.low, found.high)

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
        """What the exact check gives at best, adjusted for the family."""
        return min(1.0, max(self.claims_judged, 1) * self.smallest_p_sign_flip)

    @cached_property
    def smallest_gain(self) -> float:
        """The gain that so many pairs with this spread show at 80 % power, at the claim's share of α."""
        return stats.smallest_gain(self.gain.n, self.gain.sd, self.level, POWER)

    @cached_property
    def pairs_needed(self) -> float:
        """How many pairs would show the claimed gain at that power."""
        claimed = stats.direction(self.claim.side) * self.claim.claimed_gain
        return stats.seeds_needed(claimed, self.gain.sd, self.level, POWER)

    def flat(self) -> dict[str, Any]:
        """All numbers under the names that they have in verdicts.json."""
        compared, gain, images = self.comparison, self.gain, self.images
        failed = self.bounds or self.failures
        return {
            "pairs": gain.n,
            "seeds": compared.seeds,
            "gains": compared.gains,
            "baseline_chosen": chosen_level(compared.baseline.chosen)[1] or None,
            "treatment_chosen": chosen_level(compared.treatment.chosen)[1] or None,
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
            "level": self.level,
            "prediction_low": self.prediction.low,
            "prediction_high": self.prediction.high,
            "failed_pairs": [] if failed is None else failed.failed,
            "correlation": compared.correlation,
            "baseline_last_tenth": self.last_tenths[0],
            "treatment_last_tenth": self.last_tenths[1],
            "environments": compared.environments,
            "test_images": None if images is None else images.images,
            "crossed_low": math.nan if images is None else images.crossed.low,
            "crossed_high": math.nan if images is None else images.crossed.high,
            "sd_floor": math.nan if images is None else images.crossed.floor,
            "p_below_floor": math.nan if images is None else images.crossed.p_below_floor,
            "images_gained": None if images is None else images.gained,
            "images_lost": None if images is None else images.lost,
            "p_mcnemar": None if images is None else images.p_mcnemar,
        }


_TESTS = (
    "p", "p_adjusted", "p_negative", "p_negative_adjusted", "p_equivalent", "p_smaller", "p_sign_flip",
    "smallest_p_sign_flip", "smallest_p_sign_flip_adjusted", "claims_judged", "smallest_gain", "pairs_needed",
)  # fmt: skip


def image_checks(claim: Claim, comparison: Comparison) -> ImageChecks | None:
    """The checks of the test images; None if a run kept no answers, or if they aren't those of the metric.

    Raises:
        InputError: a run's answers are damaged, or don't fit its accuracy or those of the other runs.
    """
    found = differences(comparison)
    if found is None:
        return None
    n = len(comparison.seeds)
    at_all_looks = None if claim.max_pairs is None or n < FIRST_LOOK else critical_t(n, claim.max_pairs, 0.025)
    gained, lost = np.sum(found > 0, axis=1), np.sum(found < 0, axis=1)
    copies = copies_of_images(comparison)
    return ImageChecks(
        found.shape[1],
        crossed_interval(found, t_quantile=at_all_looks, copies=copies),
        tuple(gained.tolist()),
        tuple(lost.tolist()),
        tuple(stats.mcnemar(gained, lost).tolist()),
        copies,
    )

"""Runs that never trained: told from the others by an exact rule, counted, and compared between two sides.

A run that guesses is right on each of N test images with probability 1 / classes, or always names one class. It counts
as never trained unless guessing gives so many right answers with probability `LEVEL` at most (binomial, one-sided):
of runs that guess, one in a thousand is taken for trained. A run that learned very little, within a point of chance,
counts as never trained too. Which runs these are is decided by accuracy alone, alike on both sides.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from suite.verdict.stats.gains import PairedGain, paired_gain

LEVEL = 0.001


@dataclass(frozen=True)
class FailureRates:
    """How many runs never trained on either side. p: Fisher's exact test of equal rates, two-sided."""

    baseline: int
    baseline_runs: int
    treatment: int
    treatment_runs: int
    p: float


def never_trained(top1: float, images: int, classes: int, level: float = LEVEL) -> bool:
    """Whether an accuracy (percent) of so many test images can be that of guessing.

    Raises:
        ValueError: no percentage, no image, or fewer than two classes.
    """
    if not 0 <= top1 <= 100:
        raise ValueError(f"an accuracy lies between 0 and 100 %, not at {top1}")
    return round(top1 * images / 100) <= _most_by_guessing(images, classes, level)


def chance_limit(images: int, classes: int, level: float = LEVEL) -> float:
    """The largest accuracy (percent) that counts as never trained. Raises `ValueError` as `never_trained` does."""
    return 100 * _most_by_guessing(images, classes, level) / images


def _most_by_guessing(images: int, classes: int, level: float) -> int:
    """The largest number of right answers that guessing reaches or exceeds with a probability above the level."""
    if images < 1 or classes < 2:
        raise ValueError(f"at least one image and two classes are needed, not {images} and {classes}")
    from scipy import special  # here: a process that trains does without its 40 MB

    low, high = 0, images + 1  # guessing gives at least 0 right answers, and never images + 1
    while high - low > 1:
        middle = (low + high) // 2
        likely = float(special.bdtrc(middle - 1, images, 1 / classes)) > level
        low, high = (middle, high) if likely else (low, middle)
    return low


def compare_failures(baseline: int, baseline_runs: int, treatment: int, treatment_runs: int) -> FailureRates:
    """The rates of runs that never trained, with Fisher's exact test.

    Raises:
        ValueError: more failures than runs, or fewer than none.
    """
    if not (0 <= baseline <= baseline_runs and 0 <= treatment <= treatment_runs):
        raise ValueError(
            f"of {baseline_runs} and {treatment_runs} runs, {baseline} and {treatment} can't have failed to train"
        )
    p = _fisher(baseline, baseline_runs, treatment, treatment_runs)
    return FailureRates(baseline, baseline_runs, treatment, treatment_runs, p)


def _fisher(one: int, ones: int, other: int, others: int) -> float:
    """The p of Fisher's exact test, two-sided: the share of all tables that are at most as likely as this one.

    In whole numbers, hence exact, and without `scipy.stats`, whose import takes longer than all else that judging does.
    """
    both = one + other
    tables = [math.comb(ones, count) * math.comb(others, both - count) for count in range(both + 1)]
    return sum(ways for ways in tables if ways <= tables[one]) / sum(tables)


def gain_without(gains: Sequence[float], left_out: Collection[int]) -> PairedGain:
    """The t-test of the gains without those at some places: of pairs in which either side never trained, say.

    What is left is the gain of runs that train on both sides. It isn't the treatment's whole effect if the treatment
    changes how many train.
    """
    return paired_gain([gain for place, gain in enumerate(gains) if place not in left_out])

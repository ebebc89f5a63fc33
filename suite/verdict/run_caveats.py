"""Caveats about the runs behind a comparison: failures, environments, copies, and runs that never trained."""

from __future__ import annotations

from collections.abc import Iterator

from suite.data.datasets import DATASETS
from suite.text import interval, p_value, pair_count, points, seed_list
from suite.verdict.chosen import chosen_level
from suite.verdict.comparisons import Comparison, Side
from suite.verdict.runs import failed_trials
from suite.verdict.setting_levels import starts_apart
from suite.verdict.stats.collapse import FailureRates, compare_failures, gain_without, never_trained
from suite.verdict.stats.copies import equal_pairs
from suite.verdict.stats.gains import PairedGain
from suite.verdict.test_images import copies, same_corrupted_images


def run_caveats(comparison: Comparison) -> Iterator[str]:
    """What must be known of how the runs came about, a text each."""
    sides = (comparison.baseline, comparison.treatment)
    for side in sides:
        if side.failures:
            yield f"{side.level}: {failed_trials(side.failures, len(side.values))}"
    if comparison.unpaired:
        yield f"left out, for want of a counterpart: {seed_list(comparison.unpaired)}"
    if any(side.chosen for side in sides):
        told = "; ".join(f"{side.level}: {' '.join(chosen_level(side.chosen))}" for side in sides if side.chosen)
        yield f"each side is judged at the level that was best for it on the validation images of other seeds ({told})"
    if comparison.unshared:
        yield f"the two runs of a pair share less than usual. They don't share {comparison.unshared}"
    levels = comparison.baseline.level, comparison.treatment.level
    if starts_apart(comparison.baseline.settings, comparison.axis, levels):
        yield (
            "all pairs start from the same two files of pretrained weights, one a side: the gain includes which of the "
            "two turned out better, and more seeds don't average that out"
        )
    if comparison.mixed_code:
        yield (
            f"the runs were made by different code of {', '.join(comparison.mixed_code)}: `lape run --stale rerun` "
            "trains those of older code again"
        )
    if comparison.mixed_environments:
        yield f"the two sides ran in different environments: {'; '.join(comparison.environments)}"
    elif len(comparison.environments) > 1:
        yield f"the pairs ran in several environments: {'; '.join(comparison.environments)}"
    for side in sides:
        if alike := copies(side, comparison.accuracies(side)):
            yield (
                f"{side.level}: {seed_list(alike)} gave bit by bit the answers of another seed; two trainings hardly "
                "ever do, and one that counts twice makes the gain look surer than it is"
            )
        yield from _near_chance(comparison, side)
    yield from _equal_pairs(comparison)
    yield from _never_trained(comparison)
    if comparison.measured.missing and not same_corrupted_images(comparison):
        yield (
            "the runs were tested on different corrupted images, such as those of other package versions: the checks "
            "on single test images are left out; one folder of corrupted images, copied, makes machines agree"
        )
    values = [value for side in sides for value in comparison.accuracies(side).values()]
    if values and max(values) <= 1:
        yield "all accuracies lie between 0 and 1: they look like fractions, where percentages are expected"


def _equal_pairs(comparison: Comparison) -> Iterator[str]:
    """Pairs whose answers to the test images are the same on both sides."""
    base, treated = comparison.baseline, comparison.treatment
    kept = [seed for seed in comparison.seeds if seed in base.correct and seed in treated.correct]
    for group in equal_pairs([base.correct[seed] for seed in kept], [treated.correct[seed] for seed in kept]):
        alike = [kept[place] for place in group]
        if min(comparison.accuracies(side)[alike[0]] for side in (base, treated)) < 100:
            yield f"{seed_list(alike)} are equal pairs: both sides gave the same answers; they hardly say more than one"


def untrained(comparison: Comparison, side: Side) -> list[int]:
    """The seeds of a side whose accuracy can be that of guessing."""
    dataset = side.level if comparison.axis == "dataset" else comparison.cell["dataset"]
    if dataset not in DATASETS or DATASETS[dataset].guessed is None:
        return []
    classes = DATASETS[dataset].num_classes
    return [
        seed
        for seed, value in comparison.accuracies(side).items()
        if (
            never_trained(value, side.test_images[seed], classes)
            if seed in side.test_images
            else value <= 150 / classes  # of unknown size: half above chance
        )
    ]


def untrained_pairs(comparison: Comparison) -> list[int]:
    """The places, among the pairs, of those in which either side never trained."""
    lost = {*untrained(comparison, comparison.baseline), *untrained(comparison, comparison.treatment)}
    return [place for place, seed in enumerate(comparison.seeds) if seed in lost]


def failure_rates(comparison: Comparison) -> FailureRates:
    """How many runs of either side never trained, and Fisher's exact test of equal rates."""
    sides = comparison.baseline, comparison.treatment
    (base, bases), (treated, treateds) = ((len(untrained(comparison, side)), len(side.values)) for side in sides)
    return compare_failures(base, bases, treated, treateds)


def lost_runs(comparison: Comparison) -> str:
    """How many runs of either side never trained, and the gain of the other pairs; empty if all trained."""
    sides = comparison.baseline, comparison.treatment
    lost = {side.level: len(untrained(comparison, side)) for side in sides}
    if not any(lost.values()):
        return ""
    counts = ", ".join(f"{lost[side.level]} of {len(side.values)} with {side.level}" for side in sides)
    kept = _gain_of_trained_pairs(comparison)
    other = "" if kept is None else f"; the gain of the other pairs is {_with_interval(kept.mean, kept.low, kept.high)}"
    return f"runs that never trained: {counts}{other}"


def _near_chance(comparison: Comparison, side: Side) -> Iterator[str]:
    if collapsed := untrained(comparison, side):
        dataset = side.level if comparison.axis == "dataset" else comparison.cell["dataset"]
        chance = DATASETS[dataset].guessed
        yield f"{side.level}: {seed_list(collapsed)} ended near the {chance:g} % of chance: a collapse is no baseline"


def _never_trained(comparison: Comparison) -> Iterator[str]:
    """How many runs of either side never trained, whether that differs, and the gain with and without their pairs."""
    base, treated = comparison.baseline, comparison.treatment
    rates = failure_rates(comparison)
    if not rates.baseline + rates.treatment:
        return
    text = (
        f"never trained: {rates.baseline} of {rates.baseline_runs} runs of {base.level}, {rates.treatment} of "
        f"{rates.treatment_runs} of {treated.level} (Fisher's exact test of equal rates: p = {p_value(rates.p)})"
    )
    if (without := _gain_of_trained_pairs(comparison)) is not None:
        whole = comparison.gain
        text += (
            f"; the gain is {_with_interval(whole.mean, whole.low, whole.high)} with their pairs, and "
            f"{_with_interval(without.mean, without.low, without.high)} over the other {pair_count(without.n)}"
        )
    yield text


def _gain_of_trained_pairs(comparison: Comparison) -> PairedGain | None:
    """The gain without the pairs of which a side never trained; None if there are no such pairs, or no others."""
    places = untrained_pairs(comparison)
    return gain_without(comparison.gains, places) if 0 < len(places) < len(comparison.seeds) else None


def _with_interval(mean: float, low: float, high: float) -> str:
    return f"{points(mean)} {interval(low, high)}" if low == low else points(mean)

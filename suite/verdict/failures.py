"""Failed trials at their worst: what a claim's gains would be if each failure had turned out as badly as it can.

A failed trial leaves no accuracy, and leaving its pair out in silence favours the side that fails. So its pair enters
twice, once at its worst for the claim and once at its best:

* at its worst for the treatment, its failed runs guess, and failed runs of the baseline reach the best of the other
  baselines;
* at its best, the same with the two sides exchanged.

A failure of the machine says nothing about the method: such a pair is missing, and doesn't enter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from suite.data.datasets import DATASETS
from suite.verdict.comparisons import Comparison, Side


@dataclass(frozen=True)
class Bounds:
    """The gains of all pairs, with failed ones at their lowest and at their highest, in points.

    seeds: in order. failed: the seeds whose pair failed.
    """

    seeds: tuple[int, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    failed: tuple[int, ...]


def failed_seeds(comparison: Comparison) -> tuple[int, ...]:
    """The seeds of which a side failed by itself, in rising order; the other side is there or failed too."""
    sides = (comparison.baseline, comparison.treatment)
    lost = {seed for side in sides for seed in side.failures if seed not in side.machine_faults}
    return tuple(sorted(seed for seed in lost if all(seed in side.values or seed in side.failures for side in sides)))


def bounds(comparison: Comparison, seeds: Sequence[int]) -> Bounds:
    """The gains of these seeds, each done or failed on both sides. There must be a done run on each side."""
    base, treated = comparison.baseline, comparison.treatment
    chance, sign = _chance(comparison), comparison.measured.sign
    best = max if sign > 0 else min
    low, high = [], []
    for seed in seeds:
        low.append(sign * (_value(treated, seed, chance) - _value(base, seed, best(base.values.values()))))
        high.append(sign * (_value(treated, seed, best(treated.values.values())) - _value(base, seed, chance)))
    both = base.values.keys() & treated.values.keys()
    return Bounds(tuple(seeds), tuple(low), tuple(high), tuple(seed for seed in seeds if seed not in both))


def with_failures(comparison: Comparison) -> Bounds | None:
    """The bounds of all done and failed pairs, in rising order of seeds; None without a failed pair or a done one."""
    lost = failed_seeds(comparison)
    if not lost or not comparison.baseline.values or not comparison.treatment.values:
        return None
    return bounds(comparison, sorted({*comparison.seeds, *lost}))


def _value(side: Side, seed: int, otherwise: float) -> float:
    return side.values.get(seed, otherwise)


def _chance(comparison: Comparison) -> float:
    """The metric of guessing; of always being wrong, where the number of classes isn't known or there are none."""
    dataset = comparison.cell.get("dataset", "")
    accuracy = DATASETS[dataset].guessed if dataset in DATASETS else None
    return comparison.measured.at_accuracy(accuracy or 0.0, comparison.reference)

"""What the tests during training say: whether a run still improves at its end, and when it reaches an accuracy."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from suite.verdict.runs import is_missing, rows_of

if TYPE_CHECKING:
    from suite.verdict.comparisons import Comparison
    from suite.verdict.runs import Frame

Curve = Sequence[tuple[int, float]]  # epochs completed, and top-1 in percent after them; in rising order
STILL_MOVES = 0.5  # points: a cell whose last tenth of training changes its accuracy by more isn't converged


def curves_of(history: Frame) -> dict[str, Curve]:
    """The tested epochs of each run, by its trial id. history: as `suite.store.load_history` returns it."""
    found: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for trial, epoch, top1 in rows_of(history, ("trial_id", "epoch", "top1")):
        if not is_missing(top1):
            found[str(trial)].append((int(epoch) + 1, float(top1)))
    return {trial: sorted(curve) for trial, curve in found.items()}


def last_tenth(curve: Curve) -> float:
    """By how many points the last tenth of training changes the accuracy; NaN if no test stands before it.

    The earlier accuracy is that of the last test at or before nine tenths of the epochs.
    """
    if not curve:
        return math.nan
    end, last = curve[-1]
    before = [top1 for epoch, top1 in curve[:-1] if 10 * epoch <= 9 * end]
    return last - before[-1] if before else math.nan


def mean_last_tenth(curves: Mapping[str, Curve], trials: Sequence[str], end: float = math.inf) -> float:
    """The mean of `last_tenth` over runs, as if training ended at epoch `end`; NaN if none of them has it."""
    parts = ([point for point in curves.get(trial, ()) if point[0] <= end] for trial in trials)
    moves = [move for part in parts if not math.isnan(move := last_tenth(part))]
    return fmean(moves) if moves else math.nan


def last_tenths(comparison: Comparison, curves: Mapping[str, Curve]) -> tuple[float, float]:
    """`mean_last_tenth` of both sides, baseline first, over the runs of the pairs.

    If the comparison is about an epoch, training is taken to end there.
    """
    end = math.inf if comparison.epoch is None else comparison.epoch
    base, treated = (
        mean_last_tenth(curves, [side.trials[seed] for seed in comparison.seeds], end)
        for side in (comparison.baseline, comparison.treatment)
    )
    return base, treated


def still_moves(last_tenth: float) -> bool:
    """Whether a cell with this last tenth isn't converged; False for NaN."""
    return abs(last_tenth) > STILL_MOVES


def reached(curve: Curve, accuracy: float) -> int | None:
    """The number of epochs after which a test first gave this accuracy (percent); None if none did."""
    return next((epoch for epoch, top1 in curve if top1 >= accuracy), None)

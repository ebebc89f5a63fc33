"""What the tests during training say: whether a run still improves at its end, and when it reaches an accuracy."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

Curve = Sequence[tuple[int, float]]  # epochs completed, and top-1 in percent after them; in rising order
STILL_MOVES = 0.5  # points: a cell whose last tenth of training changes its accuracy by more isn't converged


def curves_of(history: pd.DataFrame) -> dict[str, Curve]:
    """The tested epochs of each run, by its trial id. history: as `suite.store.load_history` returns it."""
    found: dict[str, list[tuple[int, float]]] = defaultdict(list)
    tested = history.loc[history["top1"].notna(), ["trial_id", "epoch", "top1"]]
    for trial, epoch, top1 in tested.sort_values(["trial_id", "epoch"]).itertuples(index=False):
        found[trial].append((int(epoch) + 1, float(top1)))
    return dict(found)


def last_tenth(curve: Curve) -> float:
    """By how many points the last tenth of training changes the accuracy; NaN if no test stands before it.

    The earlier accuracy is that of the last test at or before nine tenths of the epochs.
    """
    if not curve:
        return math.nan
    end, last = curve[-1]
    before = [top1 for epoch, top1 in curve[:-1] if 10 * epoch <= 9 * end]
    return last - before[-1] if before else math.nan


def mean_last_tenth(curves: Mapping[str, Curve], trials: Sequence[str]) -> float:
    """The mean of `last_tenth` over runs; NaN if none of them has it."""
    moves = [move for trial in trials if not math.isnan(move := last_tenth(curves.get(trial, ())))]
    return fmean(moves) if moves else math.nan


def reached(curve: Curve, accuracy: float) -> int | None:
    """The number of epochs after which a test first gave this accuracy (percent); None if none did."""
    return next((epoch for epoch, top1 in curve if top1 >= accuracy), None)

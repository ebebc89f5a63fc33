"""Statistics of paired gains, of the test images behind them, and of published numbers: functions of numbers alone."""

from suite.verdict.stats.gains import (
    IDENTICAL,
    PairedGain,
    Side,
    Spread,
    can_reach,
    correlation,
    direction,
    equivalence,
    holm,
    paired_gain,
    sign_flip,
    smallest_sign_flip_p,
    spread,
)
from suite.verdict.stats.images import Differences, Interval, mcnemar
from suite.verdict.stats.power import seeds_needed, smallest_gain
from suite.verdict.stats.published import Consistency, Prediction, prediction_interval

__all__ = [
    "IDENTICAL",
    "Consistency",
    "Differences",
    "Interval",
    "PairedGain",
    "Prediction",
    "Side",
    "Spread",
    "can_reach",
    "correlation",
    "direction",
    "equivalence",
    "holm",
    "mcnemar",
    "paired_gain",
    "prediction_interval",
    "seeds_needed",
    "sign_flip",
    "smallest_gain",
    "smallest_sign_flip_p",
    "spread",
]

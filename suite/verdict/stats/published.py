"""Compare a published accuracy with our runs: does it lie in the prediction interval of a further mean?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from suite.verdict.stats.gains import IDENTICAL, spread

Consistency = Literal["consistent", "not_consistent", "cant_say"]


@dataclass(frozen=True)
class Prediction:
    """The prediction interval for the mean of `published_runs` further runs, in the unit of the values.

    Args:
        n: the number of our runs.
        published_runs: the number of runs that the published mean is over.
        mean: the mean of our runs.
        sd: their sample standard deviation.
        level: the confidence level.
        low: the lower end. NaN below two runs; equal to `high` if all runs have the same value.
        high: the upper end.
    """

    n: int
    published_runs: int
    mean: float
    sd: float
    level: float
    low: float
    high: float

    def judge(self, published: float, rounding: float = 0.0) -> Consistency:
        """Whether a published value is consistent with these runs.

        Args:
            published: the published value.
            rounding: its largest rounding error: half a unit of its last printed digit.

        Returns:
            "cant_say" below two runs, or if all runs have the same value and the published one is different.

        Raises:
            ValueError: the published value isn't finite.
        """
        if not math.isfinite(published):
            raise ValueError(f"a published value must be a finite number, not {published}")
        if self.n < 2:
            return "cant_say"
        if self.low - rounding <= published <= self.high + rounding:
            return "consistent"
        return "cant_say" if self.sd < IDENTICAL else "not_consistent"


def prediction_interval(values: Sequence[float], level: float = 0.95, published_runs: int = 1) -> Prediction:
    """The t prediction interval for the mean of `published_runs` further runs: mean ± t · sd · √(1/n + 1/m).

    It assumes that both sets of runs come from one normal distribution: the same training procedure and the same
    test. A published value outside the interval means another procedure, another budget, or chance. The interval
    doesn't show which.

    Args:
        values: the values of our n runs.
        level: the confidence level.
        published_runs: m, the number of runs that the published mean is over.

    Raises:
        ValueError: a value isn't finite, `published_runs` is below 1, or the level isn't between 0 and 1.
    """
    if published_runs < 1 or not 0 < level < 1:
        raise ValueError(f"at least one published run and a level between 0 and 1, not {published_runs} and {level}")
    part = spread(values)
    half = math.nan
    if part.n >= 2:
        from scipy import special  # imported here to save its 40 MB in training processes

        half = (
            float(special.stdtrit(part.n - 1, (1 + level) / 2)) * part.sd * math.sqrt(1 / part.n + 1 / published_runs)
        )
        half = 0.0 if part.sd < IDENTICAL else half
    return Prediction(part.n, published_runs, part.mean, part.sd, level, part.mean - half, part.mean + half)

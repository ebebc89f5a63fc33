"""What our runs say about a bare published accuracy: would one more mean of such runs fall there?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from suite.verdict.stats.gains import IDENTICAL, spread

Consistency = Literal["consistent", "not_consistent", "cant_say"]


@dataclass(frozen=True)
class Prediction:
    """Where one more mean of `published_runs` runs falls, by n runs of ours. Same unit as the values.

    low, high: NaN below two runs; equal if all runs gave the same value, so that there is no scale to judge by.
    """

    n: int
    published_runs: int
    mean: float
    sd: float
    level: float
    low: float
    high: float

    def judge(self, published: float, rounding: float = 0.0) -> Consistency:
        """Whether a published value fits these runs. rounding: half a unit of its last printed digit.

        can't say: fewer than two runs; or equal ones, of which the value isn't one.
        """
        if not math.isfinite(published):
            raise ValueError(f"a published value must be a finite number, not {published}")
        if self.n < 2:
            return "cant_say"
        if self.low - rounding <= published <= self.high + rounding:
            return "consistent"
        return "cant_say" if self.sd < IDENTICAL else "not_consistent"


def prediction_interval(values: Sequence[float], level: float = 0.95, published_runs: int = 1) -> Prediction:
    """The t interval for the mean of `published_runs` further runs: mean ± t · sd · √(1/n + 1/m).

    It takes both sets of runs as draws of one normal distribution: the same training, tested alike. So a
    published value outside of it tells of another training, another budget or luck, and not which.

    Raises:
        ValueError: a value isn't finite, no runs are said to be published, or the level isn't between 0 and 1.
    """
    if published_runs < 1 or not 0 < level < 1:
        raise ValueError(f"at least one published run and a level between 0 and 1, not {published_runs} and {level}")
    part = spread(values)
    half = math.nan
    if part.n >= 2:
        from scipy import special  # here: a process that trains does without its 40 MB

        half = (
            float(special.stdtrit(part.n - 1, (1 + level) / 2)) * part.sd * math.sqrt(1 / part.n + 1 / published_runs)
        )
        half = 0.0 if part.sd < IDENTICAL else half
    return Prediction(part.n, published_runs, part.mean, part.sd, level, part.mean - half, part.mean + half)

"""How much each source of variation adds to the variance from seed to seed."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from suite.verdict.stats.gains import spread


@dataclass(frozen=True)
class Variation:
    """What one source, or several together, varies.

    Args:
        n: the number of values.
        variance: their variance; NaN below two values.
        sd_low: the lower end of the 95 % interval of the standard deviation, for normal values; NaN below two.
        sd_high: its upper end.
        share: the variance over the sum of the variances of the single sources; NaN if that sum isn't known or zero.
    """

    n: int
    variance: float
    sd_low: float
    sd_high: float
    share: float


def variations(values: Mapping[str, Sequence[float]], single: Collection[str]) -> dict[str, Variation]:
    """The variation of each group of values.

    Shares of single sources sum to 1. That of several together says if variances add up: it is then about the sum of
    their shares.

    Args:
        values: the values (accuracies or gains of all seeds) by group, such as what the seeds vary.
        single: the groups in which a single source varies, each another one.
    """
    from scipy.special import chdtri  # half a second, which only this table needs

    variances = {name: spread(list(listed)).sd ** 2 for name, listed in values.items()}
    whole = math.fsum(variances[name] for name in single) if single else math.nan
    found = {}
    for name, listed in values.items():
        freedom, variance = len(listed) - 1, variances[name]
        low, high = (
            math.sqrt(freedom * variance / float(chdtri(freedom, p))) if freedom > 0 else math.nan
            for p in (0.025, 0.975)
        )
        found[name] = Variation(len(listed), variance, low, high, variance / whole if whole > 0 else math.nan)
    return found

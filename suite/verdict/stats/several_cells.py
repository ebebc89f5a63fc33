"""A paper's table as one question: does a method gain over several cells, and what will the next cell show?

A cell's mean gain is one number here, and the spread from cell to cell is what the answer rests on; it contains the
noise of each cell's seeds. That needs cells that are exchangeable: as much like the next one as like each other.
Cells that share an architecture are more alike than that, so clusters may be named: the test then rests on the means of
the clusters.

"At least u of k cells gain" is tested by partial conjunction: the u-th p-value must be small beside those that rank
after it (Benjamini and Heller 2008; Dror et al., arXiv 1709.09500).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from suite.verdict.stats.gains import IDENTICAL, PairedGain, paired_gain

Combination = Literal["bonferroni", "fisher"]


@dataclass(frozen=True)
class SeveralCells:
    """What k cells say together, in percentage points.

    clusters: the number of groups of cells that the test counts; k where none were named.
    mean: of all cells, or, with clusters, the mean of the clusters' means. low, high: its t interval.
    sd: of one cell's gain (mean over its seeds) from cell to cell, within and between clusters.
    next_low, next_high: the prediction interval of the mean gain in one more cell, of a new cluster if there are any.
    p_greater, p_less: one-sided p-values of the mean. All but k and mean are NaN (p: 1) with a single cell or cluster.
    """

    cells: int
    clusters: int
    mean: float
    sd: float
    low: float
    high: float
    next_low: float
    next_high: float
    p_greater: float
    p_less: float


def several_cells(
    gains: Sequence[float], clusters: Sequence[Hashable] | None = None, level: float = 0.95
) -> SeveralCells:
    """The mean gain over cells by a t-test of the cells' means, and what the next cell will show.

    Without clusters the next cell's gain is mean ± t · s · √(1 + 1/k), with k − 1 degrees of freedom. With clusters
    the mean is tested over their means (Ibragimov and Müller 2010), and the variance of one cell is made of that of
    the clusters' means and that within clusters; the degrees of freedom are those of the clusters.

    Args:
        gains: each cell's mean gain, in points.
        clusters: each cell's group, such as its architecture.
        level: of both intervals.

    Raises:
        ValueError: no cell, a gain that isn't finite, or a number of clusters that isn't that of the cells.
    """
    if not len(gains):
        raise ValueError("at least one cell is needed")
    groups = _grouped(gains, clusters)
    means = [float(np.mean(group)) for group in groups]
    part, sd = paired_gain(means, level), _sd_of_a_cell(groups)
    nan = math.nan
    if part.n < 2:
        return SeveralCells(len(gains), part.n, part.mean, nan, nan, nan, nan, nan, 1.0, 1.0)
    half = _t_quantile(part, level) * math.hypot(sd, part.sd / math.sqrt(part.n))
    return SeveralCells(
        cells=len(gains),
        clusters=part.n,
        mean=part.mean,
        sd=sd,
        low=part.low,
        high=part.high,
        next_low=part.mean - half,
        next_high=part.mean + half,
        p_greater=part.p_greater,
        p_less=part.p_less,
    )


def _grouped(gains: Sequence[float], clusters: Sequence[Hashable] | None) -> list[list[float]]:
    names = range(len(gains)) if clusters is None else clusters
    groups: dict[Hashable, list[float]] = {}
    for name, gain in zip(names, gains, strict=True):
        groups.setdefault(name, []).append(float(gain))
    return list(groups.values())


def _sd_of_a_cell(groups: Sequence[Sequence[float]]) -> float:
    """The standard deviation of one cell of a new cluster: between and within clusters; NaN with one cluster.

    Each cluster's mean varies by σ_between² + σ_within² / m, so what is missing is σ_within² · (1 − mean of 1/m).
    """
    means = [float(np.mean(group)) for group in groups]
    if len(means) < 2:
        return math.nan
    freedom = sum(len(group) - 1 for group in groups)
    within = sum(float(np.sum((np.array(group) - np.mean(group)) ** 2)) for group in groups) / max(freedom, 1)
    missing = 1 - float(np.mean([1 / len(group) for group in groups]))
    return math.sqrt(float(np.var(means, ddof=1)) + missing * within)


def _t_quantile(part: PairedGain, level: float) -> float:
    from scipy import special  # here: a process that trains does without its 40 MB

    return float(special.stdtrit(part.n - 1, (1 + level) / 2)) if part.sd >= IDENTICAL else 0.0


def partial_conjunction(p_values: Sequence[float], combination: Combination = "bonferroni") -> tuple[float, ...]:
    """The p-value of "at least u of these k cells gain", for u = 1 … k.

    Each is the larger of its own and those of smaller u: who says "at least 3" says "at least 2" too.

    Args:
        p_values: one-sided, of each cell, not adjusted.
        combination: of the k − u + 1 largest p-values. "bonferroni" (their number times the smallest) holds
            whatever the cells share; "fisher" (−2 Σ log p as χ²) finds more, and needs independent cells.

    Raises:
        ValueError: a p-value outside 0 … 1.
    """
    ordered = np.sort(np.asarray(p_values, dtype=np.float64))
    if not ((ordered >= 0) & (ordered <= 1)).all():
        raise ValueError(f"p-values lie between 0 and 1, not {list(p_values)}")
    combined = [_combined(ordered[first:], combination) for first in range(ordered.size)]
    return tuple(float(p) for p in np.maximum.accumulate(combined)) if combined else ()


def _combined(ordered: npt.NDArray[np.float64], combination: Combination) -> float:
    """The p-value of "any of these gains", from p-values in rising order."""
    if combination == "bonferroni":
        return min(1.0, float(ordered.size * ordered[0]))
    if ordered[0] == 0:
        return 0.0
    from scipy import special  # here: a process that trains does without its 40 MB

    return float(special.chdtrc(2 * ordered.size, -2 * float(np.log(ordered).sum())))


def cells_that_gain(p_values: Sequence[float], alpha: float = 0.05, combination: Combination = "bonferroni") -> int:
    """At least so many of the cells gain, with confidence 1 − α (0 if none is shown). See `partial_conjunction`."""
    return sum(p <= alpha for p in partial_conjunction(p_values, combination))

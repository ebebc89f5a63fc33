"""A linear model of accuracy with one block per seed: main effects and interactions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from suite.verdict import stats

Levels = tuple[str, ...]  # a level on each of the factorial's axes, in their order
Weights = Mapping[Levels, float]


@dataclass(frozen=True)
class Interval:
    """An estimate (points) with its 95 % interval and its two-sided p-value."""

    estimate: float
    low: float
    high: float
    p: float


class BlockedModel:
    """Ordinary least squares of all runs on their cells, with a fixed effect of each seed, by statsmodels.

    One residual variance serves all contrasts, so that it has more degrees of freedom than a seed's contrasts have;
    but it is right only if all cells vary alike, and equally together. Where that holds, the two agree.
    """

    def __init__(self, values: Mapping[Levels, Mapping[int, float]]) -> None:
        """values: of cells with finished runs alone."""
        from statsmodels.regression.linear_model import OLS

        self._cells = list(values)
        seeds = sorted({seed for its in values.values() for seed in its})
        runs = [(cell, seed, value) for cell, its in values.items() for seed, value in its.items()]
        design = np.zeros((len(runs), len(self._cells) + len(seeds) - 1))
        for row, (cell, seed, _) in enumerate(runs):
            design[row, self._cells.index(cell)] = 1
            if seed != seeds[0]:
                design[row, len(self._cells) - 1 + seeds.index(seed)] = 1
        self._fit = OLS(np.array([value for *_, value in runs]), design).fit()
        self._width = design.shape[1]

    @property
    def noise(self) -> float:
        """The residual standard deviation, in points; NaN where no degree of freedom is left over."""
        return math.sqrt(self._fit.mse_resid) if self._fit.df_resid >= 1 else math.nan

    def interval(self, weights: Weights) -> Interval:
        """A contrast of the cells, with its 95 % interval and its two-sided p-value."""
        row: npt.NDArray[np.float64] = np.zeros((1, self._width))
        for cell, weight in weights.items():
            if weight:
                row[0, self._cells.index(cell)] = weight
        found = self._fit.t_test(row)
        low, high = (float(end) for end in found.conf_int(0.05)[0])
        return Interval(float(found.effect[0]), low, high, float(np.squeeze(found.pvalue)))


def blocked_model(values: Mapping[Levels, Mapping[int, float]]) -> BlockedModel | None:
    """The blocked model of the cells that have runs; None where nothing is left over to measure noise by."""
    done = {cell: its for cell, its in values.items() if its}
    if len(done) < 2 or len({seed for its in done.values() for seed in its}) < 2:
        return None
    model = BlockedModel(done)
    return model if model.noise >= stats.IDENTICAL else None

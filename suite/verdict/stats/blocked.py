"""A linear model of accuracy with one block per seed, for main effects and interactions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from suite.verdict import stats

Levels = tuple[str, ...]  # one level for each axis of the factorial, in the order of the axes
Weights = Mapping[Levels, float]


@dataclass(frozen=True)
class Interval:
    """An estimated contrast (points), with its 95 % interval and its two-sided p-value."""

    estimate: float
    low: float
    high: float
    p: float


class BlockedModel:
    """Ordinary least squares over all runs, with one coefficient per cell and a fixed effect per seed.

    All contrasts share one residual variance. It has more degrees of freedom than a t-test on the per-seed contrasts.
    It is valid only if all cells have the same variance, and all pairs of cells the same covariance. Under that
    assumption, both methods agree.
    """

    def __init__(self, values: Mapping[Levels, Mapping[int, float]]) -> None:
        """Fit the model.

        Args:
            values: top-1 (percent) by cell and seed; every cell has at least one finished run.
        """
        self._cells = list(values)
        seeds = sorted({seed for its in values.values() for seed in its})
        runs = [(cell, seed, value) for cell, its in values.items() for seed, value in its.items()]
        design: npt.NDArray[np.float64] = np.zeros((len(runs), len(self._cells) + len(seeds) - 1))
        for row, (cell, seed, _) in enumerate(runs):
            design[row, self._cells.index(cell)] = 1
            if seed != seeds[0]:
                design[row, len(self._cells) - 1 + seeds.index(seed)] = 1
        measured = np.array([value for *_, value in runs])
        inverse = np.linalg.pinv(design)
        self._estimates = inverse @ measured
        residuals = measured - design @ self._estimates
        self._free = len(runs) - int(np.linalg.matrix_rank(design))
        self._variance = float(residuals @ residuals) / self._free if self._free else math.nan
        self._covariance = inverse @ inverse.T * self._variance

    @property
    def noise(self) -> float:
        """The residual standard deviation, in points; NaN without residual degrees of freedom."""
        return math.sqrt(self._variance)

    def interval(self, weights: Weights) -> Interval:
        """Estimate a contrast: the weighted sum of the cells, with its 95 % t interval and two-sided p-value."""
        from scipy import special

        row: npt.NDArray[np.float64] = np.zeros(len(self._estimates))
        for cell, weight in weights.items():
            if weight:
                row[self._cells.index(cell)] = weight
        estimate, error = float(row @ self._estimates), math.sqrt(row @ self._covariance @ row)
        half = float(special.stdtrit(self._free, 0.975)) * error
        p = 2 * float(special.stdtr(self._free, -abs(estimate) / error))
        return Interval(estimate, estimate - half, estimate + half, p)


def blocked_model(values: Mapping[Levels, Mapping[int, float]]) -> BlockedModel | None:
    """Fit the blocked model to the cells that have runs; None if the residual variance can't be estimated."""
    done = {cell: its for cell, its in values.items() if its}
    if len(done) < 2 or len({seed for its in done.values() for seed in its}) < 2:
        return None
    model = BlockedModel(done)
    return model if model.noise >= stats.IDENTICAL else None

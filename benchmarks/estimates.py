"""Simulates the coverage and the width of the intervals of time estimates."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.grids import expand
from suite.grid.trial import Trial
from suite.run.timing.estimate import estimate
from suite.run.timing.pace import Device, Kind, Pace, kind_of, work_of

DEVICE = Device("simulated", False, "fp32", 1)
REPEATS = 2000


class Noise(NamedTuple):
    """The noise on the duration of training runs, as standard deviations of its logarithm.

    Args:
        name: the label of the noise.
        alone: independent noise of each training run.
        shared: noise that all training runs of one grid run share, and all measurements of one round.
    """

    name: str
    alone: float
    shared: float


NOISES = (
    Noise("each for itself", 0.05, 0.0),
    Noise("half and half", 0.05, 0.05),
    Noise("all of a run alike", 0.0, 0.05),
    Noise("a busy machine", 0.15, 0.15),
)


class Coverage(NamedTuple):
    """The share of intervals that contained the true duration, and their median half-width relative to the estimate."""

    held: float
    width: float


def simulate(noise: Noise, kinds: int, measured: int, trials: int, repeats: int = REPEATS, seed: int = 0) -> Coverage:
    """Simulate estimates of a grid's duration, and the runs that they are compared with.

    Args:
        noise: the noise of measurements and runs.
        kinds: the number of kinds of trials, which differ in speed.
        measured: measurements of each kind; measurement i of all kinds is one round with shared noise.
        trials: the number of trials of the grid.
        repeats: the number of simulated estimates.
        seed: the seed of the random numbers.
    """
    rng = np.random.default_rng(seed)
    cells = _cells(kinds, trials)
    works = [work_of(trial) for trial in cells[:kinds]]
    held, widths = 0, []
    for _ in range(repeats):
        true = np.exp(rng.normal(0, 1, kinds))
        shared = rng.normal(0, noise.shared, measured)
        paces = [
            Pace(_kind(cells[kind]), DEVICE, time / works[kind].trained, 0.0, f"{number:03}", calibrated=True)
            for number in range(measured)
            for kind in range(kinds)
            for time in (true[kind] * math.exp(shared[number] + rng.normal(0, noise.alone)),)
        ]
        found = estimate(cells, paces)
        if found.interval is None:
            raise RuntimeError("an interval should have been made")
        times = true[np.arange(trials) % kinds] * np.exp(rng.normal(0, noise.alone, trials))
        took = float(times.sum()) * math.exp(rng.normal(0, noise.shared))
        held += found.interval[0] <= took <= found.interval[1]
        widths.append(math.sqrt(found.interval[1] / found.interval[0]) - 1)
    return Coverage(held / repeats, float(np.median(widths)))


_KINDS: dict[str, Kind] = {}  # a cache, by cell


def _kind(trial: Trial) -> Kind:
    if trial.cell_id not in _KINDS:
        _KINDS[trial.cell_id] = kind_of(trial.config)
    return _KINDS[trial.cell_id]


def _cells(kinds: int, trials: int) -> Sequence[Trial]:
    """Return trials that cycle through the given number of kinds. The kinds' cells differ in more than the join."""
    with tempfile.TemporaryDirectory() as folder:
        every = expand(Path(folder), 1000).trials
    firsts: dict[Kind, Trial] = {}
    for trial in every:
        firsts.setdefault(_kind(trial), trial)
    chosen = list(firsts.values())[:kinds]
    return [chosen[number % kinds].with_seed(number // kinds) for number in range(trials)]

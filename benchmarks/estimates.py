"""How often the interval of an estimate holds what a run then takes, simulated; and how wide it is."""

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
    """What disturbs a training's time, as standard deviations of its logarithm.

    alone: each training for itself. shared: all trainings of a run alike, and all of a round of measurements.
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
    """How often the interval held, and its median half-width as a share of the estimate."""

    held: float
    width: float


def simulate(noise: Noise, kinds: int, measured: int, trials: int, repeats: int = REPEATS, seed: int = 0) -> Coverage:
    """Estimates by so many measurements of each kind, each round at a time of its own; and runs of the trials."""
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


_KINDS: dict[str, Kind] = {}  # by cell


def _kind(trial: Trial) -> Kind:
    if trial.cell_id not in _KINDS:
        _KINDS[trial.cell_id] = kind_of(trial.config)
    return _KINDS[trial.cell_id]


def _cells(kinds: int, trials: int) -> Sequence[Trial]:
    """So many trials of as many kinds in turn: cells that differ in more than the join."""
    with tempfile.TemporaryDirectory() as folder:
        every = expand(Path(folder), 1000).trials
    firsts: dict[Kind, Trial] = {}
    for trial in every:
        firsts.setdefault(_kind(trial), trial)
    chosen = list(firsts.values())[:kinds]
    return [chosen[number % kinds].with_seed(number // kinds) for number in range(trials)]

"""Estimate how long trials will take, from measured paces (seconds per image), with a prediction interval.

A cell's estimate is the mean of the paces of its kind on one device. The interval is a 95 % prediction interval for all
trials together, from a t distribution. Its spread is the standard deviation of the logarithms of paces within each
kind. It is pooled over kinds, because there are few measurements of each.

Whatever slows down one training run (other programs, heat) also slows down those beside it. So the spread is not
divided by the number of trials. Only the error of a mean pace shrinks with the number of its measurements. Deviations
that several kinds have at the same time count as one. The interval is therefore too wide if training runs vary
independently, and not too narrow if they don't (`python -m benchmarks estimating`).
"""

from __future__ import annotations

import heapq
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import fmean
from typing import Literal, cast

from suite.cores import usable_cores
from suite.grid.trial import Trial
from suite.run.timing.pace import Device, Kind, Pace, Work, kind_of, work_of

LEVEL = 0.95
Basis = Literal["runs", "calibration", "another recipe", "nothing"]
Interval = tuple[float, float]


@dataclass(frozen=True)
class CellEstimate:
    """The estimate for each trial of a cell.

    Args:
        cell_id: The cell's id.
        label: The cell's levels, in words.
        trials: Number of trials to run.
        epochs: Epochs of each trial.
        seconds: Seconds of training and tests per trial; None: no estimate.
        start_up: Seconds per trial before its first step; 0 if they were not measured.
        basis: The kind of measurements that the estimate is based on.
        measured: The number of those measurements.
    """

    cell_id: str
    label: str
    trials: int
    epochs: int
    seconds: float | None
    start_up: float
    basis: Basis
    measured: int


@dataclass(frozen=True)
class Estimate:
    """The estimate for all trials to run.

    Args:
        device: The device that the estimate is for; None: nothing was measured.
        cells: The estimate of each cell.
        seconds: The sum over all trials that have an estimate.
        spread: The relative standard deviation of a training run's time; None: unknown.
        freedom: The degrees of freedom of `spread`.
        workers: Trials that run at a time.
        begin: Seconds until the workers are ready for their first trials.
        wall: Seconds until all trials have ended, including `begin`.
        unknown: Number of trials without an estimate.
    """

    device: Device | None
    cells: tuple[CellEstimate, ...]
    seconds: float
    spread: float | None
    freedom: float
    workers: int
    begin: float
    wall: float
    unknown: int
    _by_cell: Mapping[str, CellEstimate] = field(repr=False)
    _parts: Sequence[_Part] = field(repr=False)

    @cached_property
    def interval(self) -> Interval | None:
        """The 95 % prediction interval of `seconds`; None if no kind was measured twice."""
        return _interval(self._parts, self.seconds, self.spread, self.freedom)

    @property
    def known(self) -> int:
        """Number of trials that have an estimate."""
        return sum(cell.trials for cell in self.cells) - self.unknown

    @property
    def wall_interval(self) -> Interval | None:
        """The prediction interval of `wall`, with the same relative width as `interval`."""
        if self.interval is None or not self.seconds:
            return None
        low, high = (bound / self.seconds * self.wall for bound in self.interval)
        return low, high

    def trial_seconds(self, trial: Trial) -> float | None:
        """The estimated seconds of one trial, including start-up; None: no estimate."""
        cell = self._by_cell.get(trial.cell_id)
        return None if cell is None or cell.seconds is None else cell.seconds + cell.start_up


@dataclass(frozen=True)
class Where:
    """A filter for the devices whose paces are used. None: no restriction.

    Args:
        gpu: True: only GPUs; False: only CPUs.
        threads: CPU threads per trial. GPUs are not filtered by this.
        processor: The name of the processor. GPUs are not filtered by this.
    """

    gpu: bool | None = None
    threads: int | None = None
    processor: str | None = None

    def allows(self, device: Device) -> bool:
        """Whether paces measured on this device are used."""
        if self.gpu is not None and device.gpu != self.gpu:
            return False
        if device.gpu:
            return True
        return self.threads in (None, device.threads) and self.processor in (None, device.name)


ANYWHERE = Where()


def workers_here(threads: int) -> int:
    """How many trials of so many threads run at a time on this machine's processors."""
    return max(usable_cores() // threads, 1)


def estimate(
    trials: Sequence[Trial],
    paces: Iterable[Pace],
    workers: int = 1,
    begin: float = 0.0,
    where: Where = ANYWHERE,
) -> Estimate:
    """Estimate the time of trials, on the device with measurements for the most trials.

    Paces from runs are preferred to paces from calibrations, because runs have the same disturbances as the trials.
    Paces with another precision, device or number of threads are not used. Trials for which there are no others have no
    estimate.

    Args:
        trials: The trials to run.
        paces: The measured paces.
        workers: Trials that run at a time.
        begin: Seconds until the workers are ready for their first trials.
        where: Filters the devices.
    """
    counts = Counter(trial.cell_id for trial in trials)
    firsts = {trial.cell_id: trial for trial in reversed(trials)}
    kinds = {cell_id: kind_of(firsts[cell_id].config) for cell_id in counts}
    on = _by_place(paces, where)
    known_of = {
        place: sum(counts[cell] for cell in counts if measured.find(kinds[cell], firsts[cell].recipe.precision)[0])
        for place, measured in on.items()
    }
    chosen = max(on, key=lambda place: (known_of[place], on[place].newest), default=None)
    measured = on[chosen] if chosen is not None else _Measured()
    cells, parts = [], list[_Part]()
    for cell_id, count in counts.items():
        trial, work = firsts[cell_id], work_of(firsts[cell_id])
        found, basis = measured.find(kinds[cell_id], trial.recipe.precision)
        seconds = fmean(work.seconds(pace) for pace in found) if found else None
        start_ups = [pace.start_up for pace in found if pace.start_up is not None]
        start_up = fmean(start_ups) if start_ups else measured.start_up(kinds[cell_id])
        label = " ".join([*trial.levels.values(), *trial.recipe_settings])
        cells.append(CellEstimate(cell_id, label, count, trial.epochs, seconds, start_up, basis, len(found)))
        if seconds is not None:
            parts.append(_Part(count * (seconds + start_up), kinds[cell_id].whole, found, work))
    known = {cell.cell_id: cell for cell in cells}
    each = [_whole(known[trial.cell_id]) for trial in trials]
    seconds = math.fsum(part.seconds for part in parts)
    spread, freedom = _spread(parts)
    return Estimate(
        device=Counter(part.paces[0].device for part in parts).most_common(1)[0][0] if parts else None,
        cells=tuple(cells),
        seconds=seconds,
        spread=spread,
        freedom=freedom,
        workers=workers,
        begin=begin,
        wall=begin + side_by_side([time for time in each if time is not None], workers) if parts else 0.0,
        unknown=sum(time is None for time in each),
        _by_cell=known,
        _parts=parts,
    )


def side_by_side(seconds: Iterable[float], workers: int) -> float:
    """Seconds that parallel workers take for trials of these durations. A free worker takes the next trial in order."""
    ends = [0.0] * max(workers, 1)
    for time in seconds:
        heapq.heapreplace(ends, ends[0] + time)
    return max(ends)


def _whole(cell: CellEstimate) -> float | None:
    return None if cell.seconds is None else cell.seconds + cell.start_up


class _Measured:
    """The paces of one device, in all precisions."""

    def __init__(self) -> None:
        self.newest = ""
        self._runs: dict[str, list[Pace]] = defaultdict(list)
        self._calibrated: dict[str, list[Pace]] = defaultdict(list)
        self._of_model: dict[str, list[Pace]] = defaultdict(list)

    def add(self, pace: Pace) -> None:
        (self._calibrated if pace.calibrated else self._runs)[pace.kind.whole].append(pace)
        self._of_model[pace.kind.model].append(pace)
        self.newest = max(self.newest, pace.at)

    def find(self, kind: Kind, precision: str) -> tuple[Sequence[Pace], Basis]:
        """The best available paces for a kind, and what they are based on.

        Args:
            kind: The kind.
            precision: The recipe's `precision`. Only paces in this precision are used.
        """
        for of_kind, basis in ((self._runs, "runs"), (self._calibrated, "calibration")):
            if found := [pace for pace in of_kind.get(kind.whole, ()) if pace.device.computes(precision)]:
                return found, cast(Basis, basis)
        alike = [pace for pace in self._of_model.get(kind.model, ()) if pace.device.computes(precision)]
        if found := [pace for pace in alike if not pace.calibrated] or alike:
            return found, "another recipe"
        return (), "nothing"

    def start_up(self, kind: Kind) -> float:
        """Mean start-up seconds of a kind; 0 if unknown. Only calibrations measure it."""
        found = [pace.start_up for pace in self._calibrated.get(kind.whole, ()) if pace.start_up is not None]
        return fmean(found) if found else 0.0


def _by_place(paces: Iterable[Pace], where: Where) -> dict[Device, _Measured]:
    found: dict[Device, _Measured] = defaultdict(_Measured)
    for pace in paces:
        if where.allows(pace.device):
            found[pace.device.place].add(pace)
    return found


@dataclass(frozen=True)
class _Part:
    """The estimated seconds of all trials of a cell, with the paces and the work that they are based on."""

    seconds: float
    kind: str
    paces: Sequence[Pace]
    work: Work


def _spread(parts: Sequence[_Part]) -> tuple[float | None, float]:
    """The relative standard deviation of a training run's time, and its degrees of freedom.

    It is the standard deviation of the logarithm of the time within a kind. The n-th paces of all kinds were measured
    at about the same time, and may deviate alike. Then more kinds don't add information about the spread. So the
    degrees of freedom are Satterthwaite's, from the variances between and within such rounds.
    """
    whole, freedom = 0.0, 0
    rounds: dict[int, list[float]] = defaultdict(list)
    for part in {part.kind: part for part in parts}.values():
        times = [math.log(part.work.seconds(pace)) for pace in sorted(part.paces, key=lambda pace: pace.at)]
        mean = fmean(times)
        whole += math.fsum((time - mean) ** 2 for time in times)
        freedom += len(times) - 1
        for number, time in enumerate(times):
            rounds[number].append(time - mean)
    if not freedom:
        return None, 0.0
    between = min(math.fsum(math.fsum(off) ** 2 / len(off) for off in rounds.values()), whole)
    freedom_between = len(rounds) - 1
    freedom_within = freedom - freedom_between
    if not freedom_within or not whole:
        return math.sqrt(whole / freedom), float(freedom)
    effective = whole**2 / (between**2 / freedom_between + (whole - between) ** 2 / freedom_within)
    return math.sqrt(whole / freedom), effective


def _interval(parts: Sequence[_Part], seconds: float, spread: float | None, freedom: float) -> Interval | None:
    if spread is None or not seconds:
        return None
    from scipy import special  # this import takes half a second, and `lape status` doesn't need it

    of_kind: dict[str, float] = defaultdict(float)
    measured = {part.kind: len(part.paces) for part in parts}
    for part in parts:
        of_kind[part.kind] += part.seconds / seconds
    error = math.fsum(part / math.sqrt(measured[kind]) for kind, part in of_kind.items())  # of the mean paces
    width = math.exp(float(special.stdtrit(freedom, 0.5 + LEVEL / 2)) * spread * math.sqrt(1 + error**2))
    return seconds / width, seconds * width

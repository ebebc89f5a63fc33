"""How long trials will take, before they run: from the paces of others, with an interval.

A cell's estimate is the mean of its kind's paces on one device. The interval is a prediction interval for all trials
together (95 %, t). Its spread is that of the logarithms of the paces within their kinds, pooled over kinds, since few
runs of each are to be had. What makes one training slower than the last (a neighbour, heat) makes those beside it
slower too: so the spread isn't divided by the number of trials, only by that of measurements where it is the error of
a mean, and kinds that were off together count as one. The interval is then too wide for trainings that vary
independently, and not too narrow for those that don't (`python -m benchmarks estimating`).
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

from suite.grid.trial import Trial
from suite.run.timing.pace import Device, Kind, Pace, Work, kind_of, work_of

LEVEL = 0.95
Basis = Literal["runs", "calibration", "another recipe", "nothing"]
Interval = tuple[float, float]


@dataclass(frozen=True)
class CellEstimate:
    """What is expected of each trial of a cell.

    label: its levels. trials: how many are to do, of so many epochs. seconds: of the training with its tests; None if
    there is nothing to go by. start_up: seconds before its first step, where they were measured. basis: what was
    measured, so many times.
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
    """What is expected of the trials to do.

    device: on which, None if nothing is known. seconds: of all trials that there is a pace for, one after another;
    unknown: trials without one. spread: the standard deviation of a training's time, as a share of it, from so many
    degrees of freedom. wall: seconds until all is done with `workers` trials at a time, from the first one's start;
    begin: of that, until the workers are ready.
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
        """Of `seconds`, 95 %; None if no kind was measured twice."""
        return _interval(self._parts, self.seconds, self.spread, self.freedom)

    @property
    def known(self) -> int:
        """Trials that there is a pace for."""
        return sum(cell.trials for cell in self.cells) - self.unknown

    @property
    def wall_interval(self) -> Interval | None:
        """The interval of `wall`: as wide, in proportion."""
        if self.interval is None or not self.seconds:
            return None
        low, high = (bound / self.seconds * self.wall for bound in self.interval)
        return low, high

    def trial_seconds(self, trial: Trial) -> float | None:
        """What is expected of one trial, start-up and all; None if there is nothing to go by."""
        cell = self._by_cell.get(trial.cell_id)
        return None if cell is None or cell.seconds is None else cell.seconds + cell.start_up


@dataclass(frozen=True)
class Where:
    """Which devices' paces count. None: any.

    Args:
        gpu: GPUs alone, or processors alone.
        threads: CPU threads of each trial; says nothing of GPUs.
        processor: The name of the processor; says nothing of GPUs.
    """

    gpu: bool | None = None
    threads: int | None = None
    processor: str | None = None

    def allows(self, device: Device) -> bool:
        """Whether a pace that was measured on this device counts."""
        if self.gpu is not None and device.gpu != self.gpu:
            return False
        if device.gpu:
            return True
        return self.threads in (None, device.threads) and self.processor in (None, device.name)


ANYWHERE = Where()


def estimate(
    trials: Sequence[Trial],
    paces: Iterable[Pace],
    workers: int = 1,
    begin: float = 0.0,
    where: Where = ANYWHERE,
) -> Estimate:
    """What the trials take, on the device of which most is known.

    Runs count before calibrations: they were disturbed by whatever disturbs trials. A pace of another precision,
    device or number of threads doesn't count: what is known of such alone is unknown.

    Args:
        trials: The trials to do.
        paces: What was measured.
        workers: Trials at a time.
        begin: Seconds until the workers are ready for their first trial.
        where: Which devices count.
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
        label = " ".join(trial.levels.values())
        cells.append(
            CellEstimate(cell_id, label, count, trial.recipe.total_epochs, seconds, start_up, basis, len(found))
        )
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
    """How long so many workers take for trials of these lengths, each of which takes the next one when it is free."""
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
        """The paces that tell most of a kind. precision: the recipe's; a pace in another one says nothing."""
        for of_kind, basis in ((self._runs, "runs"), (self._calibrated, "calibration")):
            if found := [pace for pace in of_kind.get(kind.whole, ()) if pace.device.computes(precision)]:
                return found, cast(Basis, basis)
        alike = [pace for pace in self._of_model.get(kind.model, ()) if pace.device.computes(precision)]
        if found := [pace for pace in alike if not pace.calibrated] or alike:
            return found, "another recipe"
        return (), "nothing"

    def start_up(self, kind: Kind) -> float:
        """Runs don't measure it, calibrations do."""
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
    """Trials of one cell: seconds of all of them, by these paces."""

    seconds: float
    kind: str
    paces: Sequence[Pace]
    work: Work


def _spread(parts: Sequence[_Part]) -> tuple[float | None, float]:
    """The standard deviation of a training's time, as that of its logarithm within a kind, and its degrees of freedom.

    The n-th paces of all kinds were measured at about the same time, and may be off alike: then another kind tells
    nothing new of the spread. So the degrees are Satterthwaite's, for a spread between such rounds and one within.
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
    from scipy import special  # half a second, which a status does without

    of_kind: dict[str, float] = defaultdict(float)
    measured = {part.kind: len(part.paces) for part in parts}
    for part in parts:
        of_kind[part.kind] += part.seconds / seconds
    error = math.fsum(part / math.sqrt(measured[kind]) for kind, part in of_kind.items())  # of the means, all alike
    width = math.exp(float(special.stdtrit(freedom, 0.5 + LEVEL / 2)) * spread * math.sqrt(1 + error**2))
    return seconds / width, seconds * width

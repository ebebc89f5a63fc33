"""Both sides by turns: first timm's loop at several settings, then its best against ours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch

from suite.bench.throughput.crowd import Crowd, Side
from suite.bench.throughput.matmul import matmul_rate
from suite.bench.throughput.turns import LoopSetting, Task, Turn
from suite.bench.throughput.workload import Workload
from suite.train.steps.memory import release
from suite.train.steps.precision import choose_precision

# What is told of both sides, and the task that it is measured by.
Figure = Literal["step", "pipeline", "pipeline_per_core", "training"]
TASKS: dict[Figure, Task] = {
    "step": "step",
    "pipeline": "pipeline",
    "pipeline_per_core": "pipeline",
    "training": "training",
}
SIDES: tuple[Side, ...] = get_args(Side)
LEAST = 4  # batches of a turn: our pipeline augments several at once, and has its usual speed over some


@dataclass(frozen=True)
class Plan:
    """How it is measured.

    seconds: of a turn, about. side_by_side: trainings at once. threads: of all of them together. workers: the numbers
    of loading processes that timm's loop is tried with.
    """

    rounds: int
    seconds: float
    side_by_side: int
    threads: int
    workers: tuple[int, ...]

    @property
    def threads_each(self) -> int:
        """Of one training."""
        return max(1, self.threads // self.side_by_side)


@dataclass(frozen=True)
class Timed:
    """A turn, and of what."""

    figure: Figure
    side: Side
    setting: LoopSetting
    turn: Turn

    @property
    def rate(self) -> float:
        """Images per second; of `pipeline_per_core`, per second of CPU time."""
        seconds = self.turn.cpu_seconds if self.figure == "pipeline_per_core" else self.turn.seconds
        return self.turn.images / seconds


@dataclass(frozen=True)
class Throughput:
    """All turns: of the settings that were tried, and by round of those that were chosen. matmul: FLOP/s by round."""

    tried: tuple[Timed, ...]
    rounds: tuple[tuple[Timed, ...], ...]
    matmul: tuple[float, ...]


def measure(workload: Workload, plan: Plan, report: Callable[[str], None] = lambda doing: None) -> Throughput:
    """Measure both sides, interleaved, so that whatever slows the machine slows them alike.

    Every other round begins with the other side. `report` is called after each of the `turn_count` turns, with what was
    measured.

    Raises:
        InputError: the pictures can't be read, or a process has died.
    """
    device = workload.device
    dtype = choose_precision(workload.recipe, device).dtype or torch.float32
    with Crowd("ours", workload, plan.side_by_side) as ours, Crowd("timm", workload, plan.side_by_side) as timm:
        crowds: dict[Side, Crowd] = {"ours": ours, "timm": timm}
        bench = _Bench(crowds, workload, plan, report)
        chosen = bench.choose()
        rounds, rates = list[tuple[Timed, ...]](), list[float]()
        for number in range(plan.rounds):
            turned = SIDES if number % 2 == 0 else SIDES[::-1]
            rounds.append(tuple(bench.again(chosen[figure, side]) for figure in figures(device) for side in turned))
            rates.append(matmul_rate(device, dtype, plan.threads))
    release(device)
    return Throughput(tuple(bench.tried), tuple(rounds), tuple(rates))


def figures(device: torch.device) -> list[Figure]:
    """What is measured on a device. CPU time tells of a pipeline that runs on CPUs."""
    return [figure for figure in TASKS if device.type == "cpu" or figure != "pipeline_per_core"]


def turn_count(device: torch.device, plan: Plan) -> int:
    """How many turns `measure` takes: each setting that is tried counts as one, and each side of a round."""
    told = len(figures(device))
    tried = told + 1 + 2 * len(plan.workers) + len(_settings(device, plan, prefetcher=False))
    return tried + 2 * told * plan.rounds


def _settings(device: torch.device, plan: Plan, *, prefetcher: bool) -> list[LoopSetting]:
    """The settings that timm's training is tried with; the loader is the one given, or on a GPU both."""
    return list(
        dict.fromkeys(
            LoopSetting(threads, workers, loader)
            for loader in ((prefetcher,) if device.type == "cpu" else (False, True))
            for workers in plan.workers
            for threads in (plan.threads_each, max(1, plan.threads_each - workers))
        )
    )


class _Bench:
    """What was tried so far, and who does it."""

    def __init__(
        self, crowds: dict[Side, Crowd], workload: Workload, plan: Plan, report: Callable[[str], None]
    ) -> None:
        self._crowds, self._workload, self._plan, self._report = crowds, workload, plan, report
        self.tried: list[Timed] = []

    def choose(self) -> dict[tuple[Figure, Side], Timed]:
        """A turn of each figure and side, at the setting that it is measured with: of timm's, the fastest found."""
        plan, chosen = self._plan, dict[tuple[Figure, Side], Timed]()
        whole = LoopSetting(plan.threads_each)
        for figure in figures(self._workload.device):
            # By one thread a core's share is told best, and small operations are launched fastest.
            alone = figure == "pipeline_per_core" or self._workload.device.type == "cuda"
            chosen[figure, "ours"] = self._try(figure, "ours", LoopSetting(1) if alone else whole)
        chosen["step", "timm"] = self._try("step", "timm", whole)
        loaders = [
            self._try("pipeline", "timm", LoopSetting(plan.threads_each, workers, prefetcher))
            for workers in plan.workers
            for prefetcher in (False, True)
        ]
        chosen["pipeline", "timm"] = best = max(loaders, key=lambda timed: timed.rate)
        if self._workload.device.type == "cpu":
            per_core = [Timed("pipeline_per_core", "timm", timed.setting, timed.turn) for timed in loaders]
            chosen["pipeline_per_core", "timm"] = best = max(per_core, key=lambda timed: timed.rate)
        # Where the model computes on the same cores, the loader that takes the least of them leaves it the most.
        settings = _settings(self._workload.device, plan, prefetcher=best.setting.prefetcher)
        loops = [self._try("training", "timm", setting) for setting in settings]
        chosen["training", "timm"] = max(loops, key=lambda timed: timed.rate)
        return chosen

    def again(self, timed: Timed) -> Timed:
        """A turn like that one, as long as a turn should be."""
        found = self._turn(timed.figure, timed.side, timed.setting, self._batches(timed, self._plan.seconds))
        self._report(f"{timed.figure} of {timed.side}")
        return found

    def _try(self, figure: Figure, side: Side, setting: LoopSetting) -> Timed:
        """A short turn, or if it was too short to tell, one of half the length."""
        found = self._turn(figure, side, setting, LEAST)
        batches = self._batches(found, self._plan.seconds / 2)
        if batches > 2 * LEAST:
            found = self._turn(figure, side, setting, batches)
        self.tried.append(found)
        self._report(f"{figure} of {side}, {setting}")
        return found

    def _batches(self, timed: Timed, seconds: float) -> int:
        """Batches of each process for a turn of so many seconds."""
        rate = timed.turn.images / timed.turn.seconds
        return max(LEAST, round(seconds * rate / self._workload.recipe.batch_size / self._plan.side_by_side))

    def _turn(self, figure: Figure, side: Side, setting: LoopSetting, batches: int) -> Timed:
        return Timed(figure, side, setting, self._crowds[side].turn(TASKS[figure], setting, batches))

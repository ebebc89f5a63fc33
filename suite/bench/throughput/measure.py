"""Interleaved measurement of both sides: tries timm's loop at several settings, then compares its fastest with ours."""

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

# The figures that are reported for both sides, and the task that measures each.
Figure = Literal["step", "pipeline", "pipeline_per_core", "training"]
TASKS: dict[Figure, Task] = {
    "step": "step",
    "pipeline": "pipeline",
    "pipeline_per_core": "pipeline",
    "training": "training",
}
SIDES: tuple[Side, ...] = get_args(Side)
LEAST = 4  # minimum batches of a turn: our pipeline augments several batches at once, so fewer would be atypical


@dataclass(frozen=True)
class Plan:
    """The plan of a measurement.

    Args:
        rounds: interleaved rounds; each side has one turn per figure in a round.
        seconds: approximate length of a turn.
        side_by_side: concurrent training runs.
        threads: CPU threads of all concurrent training runs together.
        workers: the numbers of loader processes that timm's loop is tried with.
    """

    rounds: int
    seconds: float
    side_by_side: int
    threads: int
    workers: tuple[int, ...]

    @property
    def threads_each(self) -> int:
        """CPU threads of one training run."""
        return max(1, self.threads // self.side_by_side)


@dataclass(frozen=True)
class Timed:
    """A timed turn, with the figure, the side and the setting that it belongs to."""

    figure: Figure
    side: Side
    setting: LoopSetting
    turn: Turn

    @property
    def rate(self) -> float:
        """Images per second of wall-clock time; for `pipeline_per_core`, per second of CPU time."""
        seconds = self.turn.cpu_seconds if self.figure == "pipeline_per_core" else self.turn.seconds
        return self.turn.images / seconds


@dataclass(frozen=True)
class Throughput:
    """All turns of a measurement.

    Args:
        tried: one turn for each setting that was tried.
        rounds: for each round, the turns with the chosen settings.
        matmul: for each round, FLOP/s of a large matrix product.
    """

    tried: tuple[Timed, ...]
    rounds: tuple[tuple[Timed, ...], ...]
    matmul: tuple[float, ...]


def measure(workload: Workload, plan: Plan, report: Callable[[str], None] = lambda doing: None) -> Throughput:
    """Measure both sides with interleaved turns, so that a slowdown of the machine affects both.

    The order of the sides is reversed in every other round.

    Args:
        workload: the model, the recipe and the images.
        plan: how long and how often each side is measured.
        report: called after each of the `turn_count` turns, with a description of the turn.

    Raises:
        InputError: the images can't be read, or a process has died.
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
    """Return the figures to measure on a device. CPU time is meaningful only where the pipeline runs on CPUs."""
    return [figure for figure in TASKS if device.type == "cpu" or figure != "pipeline_per_core"]


def turn_count(device: torch.device, plan: Plan) -> int:
    """Return the number of turns that `measure` takes: one per tried setting, and one per figure, side and round."""
    told = len(figures(device))
    tried = told + 1 + 2 * len(plan.workers) + len(_settings(device, plan, prefetcher=False))
    return tried + 2 * told * plan.rounds


def _settings(device: torch.device, plan: Plan, *, prefetcher: bool) -> list[LoopSetting]:
    """Return the settings to try for timm's training, without duplicates.

    Args:
        device: on a GPU both kinds of loader are tried.
        plan: has the numbers of threads and loader processes.
        prefetcher: on a CPU, whether timm's prefetching loader is used.
    """
    return list(
        dict.fromkeys(
            LoopSetting(threads, workers, loader)
            for loader in ((prefetcher,) if device.type == "cpu" else (False, True))
            for workers in plan.workers
            for threads in (plan.threads_each, max(1, plan.threads_each - workers))
        )
    )


class _Bench:
    """Runs the turns in the worker processes, and keeps those that were tried to choose settings."""

    def __init__(
        self, crowds: dict[Side, Crowd], workload: Workload, plan: Plan, report: Callable[[str], None]
    ) -> None:
        self._crowds, self._workload, self._plan, self._report = crowds, workload, plan, report
        self.tried: list[Timed] = []

    def choose(self) -> dict[tuple[Figure, Side], Timed]:
        """Choose the setting of each figure and side; for timm, the fastest one found. Returns its turn."""
        plan, chosen = self._plan, dict[tuple[Figure, Side], Timed]()
        whole = LoopSetting(plan.threads_each)
        for figure in figures(self._workload.device):
            # One thread measures the rate per core best. On a GPU, one thread launches small kernels fastest.
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
        # On a CPU the model shares the cores with the loader: the loader that needs the least CPU time is best.
        settings = _settings(self._workload.device, plan, prefetcher=best.setting.prefetcher)
        loops = [self._try("training", "timm", setting) for setting in settings]
        chosen["training", "timm"] = max(loops, key=lambda timed: timed.rate)
        return chosen

    def again(self, timed: Timed) -> Timed:
        """Take a turn of full length with the same figure, side and setting."""
        found = self._turn(timed.figure, timed.side, timed.setting, self._batches(timed, self._plan.seconds))
        self._report(f"{timed.figure} of {timed.side}")
        return found

    def _try(self, figure: Figure, side: Side, setting: LoopSetting) -> Timed:
        """Take a short turn. If it was too short to be accurate, take another one of half the full length."""
        found = self._turn(figure, side, setting, LEAST)
        batches = self._batches(found, self._plan.seconds / 2)
        if batches > 2 * LEAST:
            found = self._turn(figure, side, setting, batches)
        self.tried.append(found)
        self._report(f"{figure} of {side}, {setting}")
        return found

    def _batches(self, timed: Timed, seconds: float) -> int:
        """Return the batches that each process runs in a turn of about this many seconds."""
        rate = timed.turn.images / timed.turn.seconds
        return max(LEAST, round(seconds * rate / self._workload.recipe.batch_size / self._plan.side_by_side))

    def _turn(self, figure: Figure, side: Side, setting: LoopSetting, batches: int) -> Timed:
        return Timed(figure, side, setting, self._crowds[side].turn(TASKS[figure], setting, batches))

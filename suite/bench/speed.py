"""Time and memory of two models against each other, in training and in evaluation, measured side by side."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch

from suite.bench.trainer import make_trainer
from suite.bench.watch import Watch
from suite.data.images import ArrayImages
from suite.grid.recipe import AskedPrecision, Recipe
from suite.models.model_cell import ModelCell
from suite.train.augmentation.pipeline import Normalise
from suite.train.steps.memory import PeakMemory, release
from suite.train.steps.precision import choose_precision

Mode = Literal["training", "evaluation"]
MODES: tuple[Mode, ...] = get_args(Mode)
Trained = tuple[ModelCell, str]  # a model, and the loss that trains it
WARM_UP = 3  # steps before anything is measured: they compile, allocate, and fill the caches


@dataclass(frozen=True)
class Setting:
    """How both sides are measured: `rounds` pairs, each of `steps` steps per side.

    compiled: by torch.compile, as CUDA graphs where there is a GPU.
    """

    device: torch.device
    threads: int
    steps: int
    rounds: int
    compiled: bool
    recipe: Recipe

    @property
    def precision(self) -> str:
        """The name of what is computed in."""
        return choose_precision(self.recipe, self.device).name


@dataclass(frozen=True)
class Measured:
    """One side in one mode.

    seconds: per step, one value for each round. cpu_seconds: those of all threads, which other work on the same
    machine disturbs less (none on a GPU, where a CPU only launches). operators: that compute, in one step that isn't
    compiled. memory_mb: the most that the side holds at once, in 10^6 bytes: on a CPU its tensors (see `Watch`), on a
    GPU what is allocated.
    """

    seconds: tuple[float, ...]
    cpu_seconds: tuple[float, ...]
    operators: int
    memory_mb: float


def recipe_for(batch_size: int, precision: AskedPrecision, patch: int | None = None) -> Recipe:
    """AdamW without augmentation. The steps see one batch, so they are small: the weights should stay ordinary.

    patch: pixels of its side, where images are mixed on the patch grid, as losses that classify patches need it.
    """
    plain = Recipe(version=1, epochs=1, batch_size=batch_size, lr=1e-5, weight_decay=0.05, precision=precision)
    return plain if patch is None else plain.model_copy(update={"cutmix": 1.0, "cutmix_grid": patch})


def compare(
    sides: Sequence[ModelCell],
    setting: Setting,
    track: Callable[[Sequence[int]], Iterable[int]] = iter,
    losses: Sequence[str] = (),
) -> dict[Mode, list[Measured]]:
    """Measure the sides, which take turns step by step, so that whatever slows the machine slows them alike.

    losses: what each side is trained by, if not by the default.

    The step is the suite's own training step, and the evaluation its own test pass, on random images. Within
    a round the order of the sides is turned around every other time. track: wraps the rounds, to show progress.
    """
    trained = list(zip(sides, losses or ["default"] * len(sides), strict=True))
    threads, on_cpu = torch.get_num_threads(), setting.device.type == "cpu"
    try:
        torch.set_num_threads(setting.threads)
        with torch.random.fork_rng([setting.device] if setting.device.type == "cuda" else []):
            torch.manual_seed(0)
            watched = {mode: [_watched(side, mode, setting) for side in trained] for mode in MODES}
            if not on_cpu:
                for mode in MODES:
                    allocated = [_allocated(side, mode, setting) for side in trained]
                    watched[mode] = [(n, peak) for (n, _), peak in zip(watched[mode], allocated, strict=True)]
            times = _times(trained, setting, track)
    finally:
        torch.set_num_threads(threads)
        release(setting.device)
    return {
        mode: [
            Measured(
                seconds=tuple(wall for wall, _ in times[mode][i]),
                cpu_seconds=tuple(cpu for _, cpu in times[mode][i]) if on_cpu else (),
                operators=watched[mode][i][0],
                memory_mb=watched[mode][i][1],
            )
            for i in range(len(sides))
        ]
        for mode in MODES
    }


class _Side:
    """A model with all that its steps need."""

    def __init__(self, trained: Trained, setting: Setting) -> None:
        cell, loss = trained
        self._setting = setting
        device, recipe, shape = setting.device, setting.recipe, cell.shape
        generator = torch.Generator().manual_seed(0)
        size = (recipe.batch_size, shape.image_size, shape.image_size, shape.in_chans)
        pixels = torch.randint(256, size, dtype=torch.uint8, generator=generator)
        labels = torch.randint(shape.num_classes, (recipe.batch_size,), generator=generator)
        self._images = ArrayImages(pixels, labels).to(device)
        self._order = torch.arange(recipe.batch_size)
        half = (0.5,) * shape.in_chans
        self._trainer = make_trainer(
            cell, recipe, Normalise(half, half, device), device, graphs=setting.compiled, loss=loss
        )

    def run(self, mode: Mode, steps: int) -> None:
        """So many steps, or test passes, over the batch."""
        if mode == "training":
            order = self._order.repeat(steps)
            self._trainer.train_epoch(self._images, [order], [torch.Generator()], [self._setting.recipe.lr] * steps)
        else:
            for _ in range(steps):
                self._trainer.test(self._images)


def _times(
    sides: Sequence[Trained], setting: Setting, track: Callable[[Sequence[int]], Iterable[int]]
) -> dict[Mode, list[list[tuple[float, float]]]]:
    """Seconds and CPU seconds per step: by mode, side and round."""
    built = [_Side(side, setting) for side in sides]
    times: dict[Mode, list[list[tuple[float, float]]]] = {mode: [[] for _ in sides] for mode in MODES}
    for mode in MODES:
        for side in built:
            side.run(mode, WARM_UP)
    for number in track(range(setting.rounds)):
        for mode in MODES:
            for i in range(len(sides)) if number % 2 == 0 else reversed(range(len(sides))):
                began = time.process_time()
                wall = _seconds(built[i], mode, setting)
                times[mode][i].append((wall / setting.steps, (time.process_time() - began) / setting.steps))
    return times


def _seconds(side: _Side, mode: Mode, setting: Setting) -> float:
    if setting.device.type != "cuda":
        began = time.perf_counter()
        side.run(mode, setting.steps)
        return time.perf_counter() - began
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize(setting.device)
    start.record()
    side.run(mode, setting.steps)
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end)) / 1e3


def _watched(trained: Trained, mode: Mode, setting: Setting) -> tuple[int, float]:
    """Operators of one step, and the peak of the memory of a side that is alone, not compiled (10^6 bytes)."""
    with Watch() as watch:
        side = _Side(trained, replace(setting, compiled=False))
        watch.peak = watch.held  # making it needed more for a moment
        side.run(mode, 1)  # the optimiser makes its state
        before = watch.operators
        side.run(mode, 1)
    return watch.operators - before, watch.peak / 1e6


def _allocated(trained: Trained, mode: Mode, setting: Setting) -> float:
    """The peak of what a side that is alone adds to a GPU's allocations (10^6 bytes), compiled as it is timed."""
    release(setting.device)
    before = PeakMemory(setting.device).megabytes()
    side, meter = _Side(trained, setting), PeakMemory(setting.device)
    side.run(mode, WARM_UP)
    peak = meter.megabytes() - before
    del side
    torch.compiler.reset()  # it holds the model
    return peak

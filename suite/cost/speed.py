"""Time and memory of two models against each other, in training and in evaluation, measured side by side."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from suite.cost.counting import ModelCell
from suite.data.images import ArrayImages
from suite.recipe import Recipe
from suite.training.augment import Normalise
from suite.training.loop import Trainer
from suite.training.memory import PeakMemory, release
from suite.training.optimiser import build_optimiser
from suite.training.precision import choose_precision

Mode = Literal["training", "evaluation"]
MODES: tuple[Mode, ...] = get_args(Mode)
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
    machine disturbs less (none on a GPU, where a CPU only launches). memory_mb: the peak of what the side holds,
    alone (10^6 bytes; None where the system doesn't tell). operators: that compute, in one step that isn't compiled.
    """

    seconds: tuple[float, ...]
    cpu_seconds: tuple[float, ...]
    memory_mb: float | None
    operators: int


def recipe_for(batch_size: int, precision: Literal["auto", "fp32"]) -> Recipe:
    """AdamW without augmentation. The steps see one batch, so they are small: the weights should stay ordinary."""
    return Recipe(version=1, epochs=1, batch_size=batch_size, lr=1e-5, weight_decay=0.05, precision=precision)


def compare(
    sides: Sequence[ModelCell], setting: Setting, track: Callable[[Sequence[int]], Iterable[int]] = iter
) -> dict[Mode, list[Measured]]:
    """Measure the sides, which take turns step by step, so that whatever slows the machine slows them alike.

    The step is the suite's own training step, and the evaluation its own test pass, on random images. Within
    a round the order of the sides is turned around every other time. track: wraps the rounds, to show progress.
    """
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(setting.threads)
        with torch.random.fork_rng([setting.device] if setting.device.type == "cuda" else []):
            torch.manual_seed(0)
            operators = [count_operators(cell, setting.recipe) for cell in sides]
            memory = _memory(sides, setting)
            times = _times(sides, setting, track)
    finally:
        torch.set_num_threads(threads)
        release(setting.device)
    on_cpu = setting.device.type == "cpu"
    return {
        mode: [
            Measured(
                seconds=tuple(wall for wall, _ in times[mode][i]),
                cpu_seconds=tuple(cpu for _, cpu in times[mode][i]) if on_cpu else (),
                memory_mb=memory[i][mode],
                operators=operators[i][mode],
            )
            for i in range(len(sides))
        ]
        for mode in MODES
    }


class _Side:
    """A model with all that its steps need."""

    def __init__(self, cell: ModelCell, setting: Setting) -> None:
        self.cell, self._setting = cell, setting
        device, recipe, shape = setting.device, setting.recipe, cell.shape
        generator = torch.Generator().manual_seed(0)
        size = (recipe.batch_size, shape.image_size, shape.image_size, shape.in_chans)
        pixels = torch.randint(256, size, dtype=torch.uint8, generator=generator)
        labels = torch.randint(shape.num_classes, (recipe.batch_size,), generator=generator)
        self._images = ArrayImages(pixels, labels).to(device)
        self._order = torch.arange(recipe.batch_size)
        model = cell.build().to(device)
        optimiser = build_optimiser(model, recipe, model.position_and_class_parameters())
        if setting.compiled:
            model.compile(mode="reduce-overhead", dynamic=False)
        half = (0.5,) * shape.in_chans
        precision = choose_precision(recipe, device)
        self._trainer = Trainer(model, optimiser, recipe, Normalise(half, half, device), precision, device)

    def run(self, mode: Mode, steps: int) -> None:
        """So many steps, or test passes, over the batch."""
        if mode == "training":
            order = self._order.repeat(steps)
            self._trainer.train_epoch(self._images, order, torch.Generator(), self._setting.recipe.lr)
        else:
            for _ in range(steps):
                self._trainer.test(self._images)


def _times(
    sides: Sequence[ModelCell], setting: Setting, track: Callable[[Sequence[int]], Iterable[int]]
) -> dict[Mode, list[list[tuple[float, float]]]]:
    """Seconds and CPU seconds per step: by mode, side and round."""
    built = [_Side(cell, setting) for cell in sides]
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


def _memory(sides: Sequence[ModelCell], setting: Setting) -> list[dict[Mode, float | None]]:
    """The peak that each side adds to what the process holds, with no other side there.

    The first measurement is thrown away: libraries that are loaded at the first step would count as the side's.
    """
    return [{mode: _peak(cell, mode, setting) for mode in MODES} for cell in (sides[0], *sides)][1:]


def _peak(cell: ModelCell, mode: Mode, setting: Setting) -> float | None:
    release(setting.device)
    before = PeakMemory(setting.device).megabytes()
    side, meter = _Side(cell, setting), PeakMemory(setting.device)
    side.run(mode, WARM_UP)
    peak = meter.megabytes() - before
    del side
    if setting.compiled:
        torch.compiler.reset()  # it holds the model
    return peak if peak > 0 else None  # none on a system whose high-water mark can't be set back


def count_operators(cell: ModelCell, recipe: Recipe) -> dict[Mode, int]:
    """Operators that compute in one step on a CPU, by mode; a GPU launches about one kernel for each.

    Not counted: views, and allocations of memory. Compiling fuses operators, so that fewer are launched.
    """
    small = recipe.model_copy(update={"batch_size": 2})  # of one image, sums over the batch would be left out
    setting = Setting(torch.device("cpu"), threads=1, steps=1, rounds=1, compiled=False, recipe=small)
    side = _Side(cell, setting)
    counts: dict[Mode, int] = {}
    for mode in MODES:
        side.run(mode, 1)
        with _Operators() as operators:
            side.run(mode, 1)
        counts[mode] = operators.count
    return counts


_IDLE = ("_unsafe_view", "empty", "new_empty")  # beside views: they read and write nothing


class _Operators(TorchDispatchMode):
    """Counts the operators that compute something."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not func.is_view and not func.__name__.startswith(_IDLE):
            self.count += 1
        return func(*args, **(kwargs or {}))

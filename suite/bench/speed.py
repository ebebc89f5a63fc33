"""Time and memory of two models in training and in evaluation, from interleaved measurements."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch

from suite.bench.trainer import make_trainer
from suite.bench.watch import Watch
from suite.data.datasets import TOKEN_MEAN, TOKEN_STD
from suite.data.images import ArrayImages, MaskedImages
from suite.grid.recipe import AskedPrecision, Recipe
from suite.models.backbone_size import is_semantic
from suite.models.model_cell import ModelCell
from suite.models.region_size import RegionSize
from suite.models.sequence_size import SequenceSize
from suite.train.augmentation.pipeline import Normalise
from suite.train.steps.memory import PeakMemory, release
from suite.train.steps.precision import choose_precision
from suite.train.tasks import CLASSIFICATION, RegionGrouping, SemanticSegmentation, Task

Mode = Literal["training", "evaluation"]
MODES: tuple[Mode, ...] = get_args(Mode)
Trained = tuple[ModelCell, str]  # a model, and the name of the loss that it is trained with
WARM_UP = 3  # unmeasured steps at the beginning: they compile the model, allocate memory and fill caches


@dataclass(frozen=True)
class Setting:
    """How both sides are measured.

    Args:
        device: the device that both models run on.
        threads: the number of CPU threads.
        steps: steps of each side in one round.
        rounds: pairs of measurements, one measurement per side.
        compiled: whether torch.compile is used, with CUDA graphs on a GPU.
        recipe: the training recipe.
    """

    device: torch.device
    threads: int
    steps: int
    rounds: int
    compiled: bool
    recipe: Recipe

    @property
    def precision(self) -> str:
        """The name of the floating-point precision, such as "fp32"."""
        return choose_precision(self.recipe, self.device).name


@dataclass(frozen=True)
class Measured:
    """The measurements of one side in one mode.

    Args:
        seconds: wall-clock time per step, one value for each round.
        cpu_seconds: CPU time per step, summed over all threads. Other work on the machine disturbs it less than
            wall-clock time. Empty on a GPU, where the CPU only launches kernels.
        operators: computing operators in one step without compilation.
        memory_mb: peak memory of the side in 10^6 bytes: on a CPU that of its tensors (see `Watch`), on a GPU that of
            the allocator.
    """

    seconds: tuple[float, ...]
    cpu_seconds: tuple[float, ...]
    operators: int
    memory_mb: float


def recipe_for(batch_size: int, precision: AskedPrecision, patch: int | None = None) -> Recipe:
    """Return a recipe for measurements: AdamW without augmentation.

    The learning rate is small because every step uses the same batch: the weights must not grow out of their usual
    range.

    Args:
        batch_size: images per step.
        precision: the precision that was asked for.
        patch: side length of a patch in pixels. CutMix then mixes images on the patch grid, which losses that classify
            patches need. None: no CutMix.
    """
    plain = Recipe(version=1, epochs=1, batch_size=batch_size, lr=1e-5, weight_decay=0.05, precision=precision)
    return plain if patch is None else plain.model_copy(update={"cutmix": 1.0, "cutmix_grid": patch})


def compare(
    sides: Sequence[ModelCell],
    setting: Setting,
    track: Callable[[Sequence[int]], Iterable[int]] = iter,
    losses: Sequence[str] = (),
) -> dict[Mode, list[Measured]]:
    """Measure the sides with interleaved steps, so that a slowdown of the machine affects all of them.

    Training uses the suite's own training step, and evaluation its own test pass, both on random images. The order of
    the sides is reversed in every other round.

    Args:
        sides: the models.
        setting: how they are measured.
        track: wraps the sequence of rounds, to show progress.
        losses: the name of each side's loss; empty: the default loss for all.

    Returns:
        For each mode, one measurement per side.
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


def _made_up(
    cell: ModelCell, count: int, generator: torch.Generator
) -> tuple[torch.Tensor, tuple[float, ...], tuple[float, ...]]:
    """Random images or sequences, uint8 [count, H, W, C], and the mean and standard deviation to normalise by.

    For a semantic head, the images' last channel is a random mask. For a grouping into regions, it is an annotation.
    """
    size, shape = cell.arch.size, cell.shape
    if isinstance(size, SequenceSize):  # symbols without padding
        sequences = (count, 1, shape.image_size, 1)
        symbols = torch.randint(1, size.vocabulary, sequences, dtype=torch.uint8, generator=generator)
        return symbols, TOKEN_MEAN, TOKEN_STD
    images = (count, shape.image_size, shape.image_size, shape.in_chans)
    half = (0.5,) * shape.in_chans
    if is_semantic(size) or isinstance(size, RegionSize):
        pixels = torch.randint(256, images, dtype=torch.uint8, generator=generator)
        most = min(shape.num_classes, 255)  # of classes, or of a photograph's regions, which have none
        masks = torch.randint(1, most + 1, (*images[:-1], 1), dtype=torch.uint8, generator=generator)
        return torch.cat([pixels, masks], dim=3), (*half, *TOKEN_MEAN), (*half, *TOKEN_STD)
    return torch.randint(256, images, dtype=torch.uint8, generator=generator), half, half


def _task(cell: ModelCell) -> Task:
    """The task of the made-up images."""
    if isinstance(cell.arch.size, RegionSize):
        return RegionGrouping(cell.shape.in_chans, annotators=1)
    return SemanticSegmentation(cell.shape.num_classes) if is_semantic(cell.arch.size) else CLASSIFICATION


class _Side:
    """One side with everything its steps need: a trainer, and one batch of random images."""

    def __init__(self, trained: Trained, setting: Setting) -> None:
        cell, loss = trained
        self._setting = setting
        device, recipe, shape = setting.device, setting.recipe, cell.shape
        generator = torch.Generator().manual_seed(0)
        pixels, mean, std = _made_up(cell, recipe.batch_size, generator)
        labels = torch.randint(shape.num_classes, (recipe.batch_size,), generator=generator)
        masked = is_semantic(cell.arch.size)
        self._images = (MaskedImages if masked else ArrayImages)(pixels, labels).to(device)
        self._order = torch.arange(recipe.batch_size)
        self._trainer = make_trainer(
            cell,
            recipe,
            Normalise(mean, std, device),
            device,
            graphs=setting.compiled,
            loss=loss,
            task=_task(cell),
        )

    def run(self, mode: Mode, steps: int) -> None:
        """Run this number of training steps or test passes on the batch."""
        if mode == "training":
            order = self._order.repeat(steps)
            self._trainer.train_epoch(self._images, [order], [torch.Generator()], [self._setting.recipe.lr] * steps)
        else:
            for _ in range(steps):
                self._trainer.test(self._images)


def _times(
    sides: Sequence[Trained], setting: Setting, track: Callable[[Sequence[int]], Iterable[int]]
) -> dict[Mode, list[list[tuple[float, float]]]]:
    """Return (seconds, CPU seconds) per step, indexed by mode, side and round."""
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
    """Return the operators of one step, and the peak memory in 10^6 bytes, of one side alone without compilation."""
    with Watch() as watch:
        side = _Side(trained, replace(setting, compiled=False))
        watch.peak = watch.held  # building the model temporarily needed more memory; that isn't counted
        side.run(mode, 1)  # the optimiser creates its state in the first step
        before = watch.operators
        side.run(mode, 1)
    return watch.operators - before, watch.peak / 1e6


def _allocated(trained: Trained, mode: Mode, setting: Setting) -> float:
    """Return the peak GPU memory that one side alone allocates, in 10^6 bytes, compiled as in the timing."""
    release(setting.device)
    before = PeakMemory(setting.device).megabytes()
    side, meter = _Side(trained, setting), PeakMemory(setting.device)
    side.run(mode, WARM_UP)
    peak = meter.megabytes() - before
    del side
    torch.compiler.reset()  # the compiler keeps a reference to the model
    return peak

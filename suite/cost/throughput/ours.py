"""The suite's own training, piece by piece. What it calls of `suite.training` is all in this file."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from suite.cost.throughput.turns import LoopSetting, Task
from suite.cost.throughput.workload import LEARNING_RATE, Workload
from suite.cost.trainer import make_trainer
from suite.data.images import ArrayImages, Images
from suite.recipe import Recipe
from suite.training.augmentation.mixing import mixed_targets
from suite.training.augmentation.pipeline import Augmentation, Normalise
from suite.training.loop import Trainer
from suite.training.step import worth_compiling

_CHANGES_IMAGES = ("crop_", "flip", "auto_augment", "interpolation", "erase_", "mixup", "cutmix", "repeats")


class OurLoop:
    """The suite's trainer on a workload's pictures."""

    def __init__(self, workload: Workload) -> None:
        recipe, dataset, device = workload.recipe, workload.dataset, workload.device
        self._workload = workload
        self._images: Images = workload.pictures().to(device)
        self._normalise = Normalise(dataset.mean, dataset.std, device)
        self._augmentation = Augmentation(recipe, self._normalise)
        self._trainer: Trainer | None = None
        first = torch.arange(recipe.batch_size) % len(self._images)
        pixels = self._images.batch(first).permute(0, 2, 3, 1).contiguous()
        self._batch = ArrayImages(pixels, self._images.labels[first.to(device)])
        self._generator = torch.Generator().manual_seed(0)

    @contextmanager
    def ready(self, task: Task, setting: LoopSetting) -> Iterator[Callable[[int], None]]:
        """What runs so many batches; the setting's threads are torch's already."""
        if task == "pipeline":
            run = self._pipeline
        elif task == "step":
            recipe = without_augmentation(self._workload.recipe)
            run = partial(self._step, self._as_asked(recipe, setting.threads))
        else:
            run = partial(self._train, self._as_asked(self._workload.recipe, setting.threads))
        run(1)
        yield run

    def _step(self, trainer: Trainer, batches: int) -> None:
        order = torch.arange(self._workload.recipe.batch_size).repeat(batches)
        trainer.train_epoch(self._batch, order, self._generator, [LEARNING_RATE] * batches)

    def _train(self, trainer: Trainer, batches: int) -> None:
        trainer.train_epoch(self._images, self._order(batches), self._generator, [LEARNING_RATE] * batches)

    def _as_asked(self, recipe: Recipe, threads: int) -> Trainer:
        """The one trainer that there is: memory is measured, too, and a trial has one."""
        if self._trainer is None or self._trainer.threads != threads:
            self._trainer = None  # before there is another
            self._trainer = self._made(threads)
        if self._trainer.recipe != recipe:
            self._trainer = replace(self._trainer, recipe=recipe)
        return self._trainer

    def _pipeline(self, count: int) -> None:
        """All that a step does before the model, the targets of mixed labels included."""
        recipe, device = self._workload.recipe, self._workload.device
        order = self._order(count)
        labels = self._images.labels[order.to(device)]
        stretches = self._augmentation.stretches(self._images, order, device, self._generator, mixing=True)
        batches = (batch for stretch in stretches for batch in stretch.batches)
        for shown, (_, share) in zip(labels.split(recipe.batch_size), batches, strict=True):
            if share is not None:
                classes = self._workload.dataset.num_classes
                mixed_targets(shown, shown.flip(0), share, classes, recipe.label_smoothing)

    def _made(self, threads: int) -> Trainer:
        """As a trial has it: on a GPU with its steps recorded, and compiled where a training has many."""
        work = self._workload
        steps = len(self._images) // work.recipe.batch_size * work.recipe.total_epochs
        return make_trainer(
            work.cell, work.recipe, self._normalise, work.device,
            threads=threads, shape=self._images.shape, recorded=True, compiled=worth_compiling(work.device, steps),
        )  # fmt: skip

    def _order(self, batches: int) -> Tensor:
        """Images for so many batches, each once before any comes again."""
        count, images = batches * self._workload.recipe.batch_size, len(self._images)
        epochs = [torch.randperm(images, generator=self._generator) for _ in range(math.ceil(count / images))]
        return torch.cat(epochs)[:count]


def without_augmentation(recipe: Recipe) -> Recipe:
    """The recipe, with images left as they are."""
    kept = {key: value for key, value in recipe.model_dump().items() if not key.startswith(_CHANGES_IMAGES)}
    return Recipe.model_validate(kept)

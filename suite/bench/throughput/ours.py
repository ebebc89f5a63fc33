"""The suite's own training for throughput measurements, split into training step and input pipeline."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor

from suite.bench.throughput.turns import LoopSetting, Task
from suite.bench.throughput.workload import LEARNING_RATE, Workload
from suite.bench.trainer import make_trainer
from suite.data.images import Images
from suite.train.augmentation.mixing import mixed_targets
from suite.train.augmentation.pipeline import Augmentation, Normalise
from suite.train.losses.target import Target
from suite.train.order import epoch_order
from suite.train.steps.compiling import worth_compiling
from suite.train.steps.cuda_graph import Recorded
from suite.train.steps.trainer import Trainer


class OurLoop:
    """The suite's trainer on a workload's images."""

    def __init__(self, workload: Workload) -> None:
        recipe, dataset, device = workload.recipe, workload.dataset, workload.device
        self._workload = workload
        self._images: Images = workload.pictures().to(device)
        self._normalise = Normalise(dataset.mean, dataset.std, device)
        self._augmentation = Augmentation(recipe, self._normalise)
        self._trainer: Trainer | None = None
        self._batch: tuple[Tensor, Target] | None = None
        self._generator = torch.Generator().manual_seed(0)

    @contextmanager
    def ready(self, task: Task, setting: LoopSetting) -> Iterator[Callable[[int], None]]:
        """Yield a function that runs a number of batches of the task, after a warm-up.

        Torch's number of threads must already be that of the setting.
        """
        run = self._pipeline
        if task == "step":
            run = partial(self._step, self._with(setting.threads), *self._fixed_batch())
        elif task == "training":
            run = partial(self._train, self._with(setting.threads))
        run(Recorded.WARM_UP + 2 if self._workload.device.type == "cuda" else 1)
        yield run

    def _step(self, trainer: Trainer, inputs: Tensor, target: Target, batches: int) -> None:
        trainer.model.train()
        for _ in range(batches):
            trainer.step(inputs, target, LEARNING_RATE)

    def _train(self, trainer: Trainer, batches: int) -> None:
        trainer.train_epoch(self._images, [self._order(batches)], [self._generator], [LEARNING_RATE] * batches)

    def _with(self, threads: int) -> Trainer:
        """Return the trainer for this number of threads. Only one exists at a time: memory is measured too."""
        if self._trainer is None or self._trainer.threads != threads:
            self._trainer = None  # free the old trainer before the new one is built
            self._trainer = self._made(threads)
        return self._trainer

    def _fixed_batch(self) -> tuple[Tensor, Target]:
        if self._batch is None:
            order, device = self._order(1), self._workload.device
            (stretch,) = self._augmentation.stretches(self._images, order, device, self._generator, mixing=True)
            ((inputs, share),) = stretch.batches
            self._batch = inputs, Target.of(self._images.labels[order.to(device)], share)
        return self._batch

    def _pipeline(self, count: int) -> None:
        """Run the input pipeline alone: all that a step does before the model, including the mixed targets."""
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
        """Build a trainer as a trial does: steps recorded on a GPU, compiled if the training run has enough steps."""
        work = self._workload
        steps = work.dataset.train_images // work.recipe.batch_size * work.recipe.total_epochs
        return make_trainer(
            work.cell, work.recipe, self._normalise, work.device,
            threads=threads, shape=self._images.shape, recorded=True, compiled=worth_compiling(work.device, steps),
        )  # fmt: skip

    def _order(self, batches: int) -> Tensor:
        """Return image indices for this number of batches, from as many epochs as that takes."""
        recipe, images = self._workload.recipe, len(self._images)
        count = batches * recipe.batch_size
        epochs = [epoch_order(images, recipe.repeats, self._generator) for _ in range(math.ceil(count / images))]
        return torch.cat(epochs)[:count]

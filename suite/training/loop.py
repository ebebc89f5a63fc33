"""One epoch of training, and one pass over the test set."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from suite.data.images import Images
from suite.recipe import Recipe
from suite.training.augmentation.pipeline import Augmentation, Normalise
from suite.training.averaging import Average
from suite.training.objective import Objective
from suite.training.precision import Precision

TEST_BATCH = 256  # images at once in a test pass; it is no part of a recipe


class DivergedError(Exception):
    """The loss was not finite."""

    def __init__(self, step: int) -> None:
        super().__init__(f"the loss of step {step} was not finite")
        self.step = step


@dataclass
class Trainer:
    """A model in training, with all that one step needs. teacher: see `Objective`."""

    model: nn.Module
    optimiser: torch.optim.Optimizer
    recipe: Recipe
    normalise: Normalise
    precision: Precision
    device: torch.device
    teacher: nn.Module | None = None

    def __post_init__(self) -> None:
        self._augmentation = Augmentation(self.recipe, self.normalise)
        self._objective = Objective(self.recipe, self.teacher)
        self._scaler = self.precision.scaler(self.device)
        decay = self.recipe.ema_decay
        self._average = None if decay is None else Average(self.model, decay)

    @property
    def tested(self) -> nn.Module:
        """The model that is tested: the one in training, or its running mean."""
        return self.model if self._average is None else self._average.model

    def train_epoch(
        self, images: Images, order: Tensor, generator: torch.Generator, rates: Sequence[float], mixing: bool = True
    ) -> Tensor:
        """Train on the images in `order` ([N] indices), in whole batches, at the learning rate of each step.

        generator: of the augmentation, on the CPU. rates: one for each whole batch. mixing: whether this epoch mixes
        images, if the recipe does. Returns the loss of each step, on the device: reading it waits for the GPU, so
        that is left to the end of the epoch.
        """
        self.model.train()
        size = self.recipe.batch_size
        losses = []
        order = order[: len(rates) * size]
        stretches = self._augmentation.stretches(images, order, self.device, generator, mixing)
        batches = (batch for stretch in stretches for batch in stretch.batches)
        for lr, indices, (inputs, share) in zip(rates, order.split(size), batches, strict=True):
            for group in self.optimiser.param_groups:
                group["lr"] = lr
            labels = images.labels[indices].to(self.device)
            with self.precision.autocast(self.device):
                loss = self._objective(self.model(inputs), labels, inputs, share)
            self.optimiser.zero_grad(set_to_none=True)
            self._scaler.scale(loss).backward()
            if self.recipe.clip_grad is not None:
                self._scaler.unscale_(self.optimiser)
                nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip_grad)
            self._scaler.step(self.optimiser)
            self._scaler.update()
            if self._average is not None:
                self._average.update()
            losses.append(loss.detach())
        return torch.stack(losses)

    @torch.inference_mode()
    def test(self, images: Images) -> tuple[Tensor, float]:
        """Whether each image is classified right (bool [N], on the CPU), and the mean loss."""
        model = self.tested.eval()
        correct, total = [], torch.zeros((), dtype=torch.float64, device=self.device)
        for indices in torch.split(torch.arange(len(images)), TEST_BATCH):
            labels = images.labels[indices].to(self.device)
            batch = images.batch(indices, self.recipe.test_crop_ratio).to(self.device)
            with self.precision.autocast(self.device):
                logits = model(self.normalise(batch)).float()
            total += cross_entropy(logits, labels, reduction="sum").double()
            correct.append(logits.argmax(1) == labels)
        return torch.cat(correct).cpu(), total.item() / len(images)


def check_finite(losses: Tensor, first_step: int) -> float:
    """The mean of an epoch's losses; raises `DivergedError` with the first step whose loss is not finite."""
    values = losses.double().cpu()
    if not torch.isfinite(values).all():
        raise DivergedError(first_step + int((~torch.isfinite(values)).nonzero()[0]))
    mean = values.mean().item()
    return mean if math.isfinite(mean) else math.inf

"""One epoch of training, and one pass over the test set."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from suite.data.images import Images
from suite.recipe import Recipe
from suite.training.augment import Normalise, augment
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
        self._objective = Objective(self.recipe, self.teacher)
        self._scaler = self.precision.scaler(self.device)

    def train_epoch(self, images: Images, order: Tensor, generator: torch.Generator, lr: float) -> Tensor:
        """Train on the images in `order` ([N] indices), in whole batches, at the learning rate `lr`.

        generator: of the augmentation, on the CPU. Returns the loss of each step, on the device: reading
        it waits for the GPU, so that is left to the end of the epoch.
        """
        self.model.train()
        for group in self.optimiser.param_groups:
            group["lr"] = lr
        size = self.recipe.batch_size
        losses = []
        for start in range(0, len(order) - size + 1, size):
            indices = order[start : start + size]
            batch = augment(images.batch(indices).to(self.device), self.recipe, generator)
            labels = images.labels[indices].to(self.device)
            with self.precision.autocast(self.device):
                inputs = self.normalise(batch)
                loss = self._objective(self.model(inputs), labels, inputs)
            self.optimiser.zero_grad(set_to_none=True)
            self._scaler.scale(loss).backward()
            self._scaler.step(self.optimiser)
            self._scaler.update()
            losses.append(loss.detach())
        return torch.stack(losses)

    @torch.inference_mode()
    def test(self, images: Images) -> tuple[Tensor, float]:
        """Whether each image is classified right (bool [N], on the CPU), and the mean loss."""
        self.model.eval()
        correct, total = [], torch.zeros((), dtype=torch.float64, device=self.device)
        for indices in torch.split(torch.arange(len(images)), TEST_BATCH):
            labels = images.labels[indices].to(self.device)
            with self.precision.autocast(self.device):
                logits = self.model(self.normalise(images.batch(indices).to(self.device))).float()
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

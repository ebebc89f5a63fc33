"""Builds the suite's own trainer for measurements, in the same way as a trial builds it."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from suite.grid.losses import LOSSES
from suite.grid.recipe import Recipe
from suite.models.build import build_model
from suite.models.model_cell import ModelCell
from suite.train.augmentation.pipeline import Normalise
from suite.train.losses.learner import learner_for
from suite.train.steps.optimiser import build_optimiser
from suite.train.steps.precision import choose_precision
from suite.train.steps.trainer import Trainer
from suite.train.tasks import CLASSIFICATION, Task


def make_trainer(
    cell: ModelCell,
    recipe: Recipe,
    normalise: Normalise,
    device: torch.device,
    *,
    compiled: bool = False,
    graphs: bool = False,
    threads: int = 1,
    shape: Sequence[int] | None = None,
    recorded: bool = False,
    loss: str = "default",
    task: Task = CLASSIFICATION,
) -> Trainer:
    """Build a new model with its loss and optimiser, and return a trainer for it.

    Args:
        cell: the model.
        recipe: the training recipe.
        normalise: the normalisation of the images.
        device: the device to train on.
        compiled: see `Trainer`.
        graphs: compile the complete model, for training and tests, with CUDA graphs on a GPU.
        threads: see `Trainer`.
        shape: see `Trainer`.
        recorded: see `Trainer`.
        loss: the name of the loss.
        task: see `Trainer`.
    """
    model = learner_for(build_model(cell), LOSSES[loss], recipe, cell.shape.num_classes, seed=0).to(device)
    optimiser = build_optimiser(model, recipe, model.position_and_class_parameters())
    if graphs:
        model.compile(mode="reduce-overhead", dynamic=False)
    precision = choose_precision(recipe, device)
    return Trainer(
        model, optimiser, recipe, normalise, precision, device,
        threads=threads, shape=shape, compiled=compiled, recorded=recorded, task=task,
    )  # fmt: skip

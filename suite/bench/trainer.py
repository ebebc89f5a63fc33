"""A trainer for measurements: the suite's own, made as a trial makes it."""

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
) -> Trainer:
    """A new model in training. graphs: all of it, tests too, by torch.compile, as CUDA graphs where there is a GPU.

    The others: see `Trainer`.
    """
    model = learner_for(build_model(cell), LOSSES[loss], recipe, cell.shape.num_classes, seed=0).to(device)
    optimiser = build_optimiser(model, recipe, model.position_and_class_parameters())
    if graphs:
        model.compile(mode="reduce-overhead", dynamic=False)
    precision = choose_precision(recipe, device)
    return Trainer(
        model, optimiser, recipe, normalise, precision, device,
        threads=threads, shape=shape, compiled=compiled, recorded=recorded,
    )  # fmt: skip

"""Our side runs the suite's own trainer, and the step alone is without augmentation."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from suite.cost.throughput.ours import OurLoop, without_augmentation
from suite.cost.throughput.turns import LoopSetting
from suite.documents import load_document
from suite.recipe import Recipe
from suite.training.augmentation.pipeline import Augmentation, Normalise
from tests.cost.throughput.workloads import RECIPES, workload


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_without_augmentation_images_stay_as_they_are(path: Path) -> None:
    recipe = load_document(path, Recipe)
    bare = without_augmentation(recipe)
    assert (bare.batch_size, bare.label_smoothing, bare.clip_grad, bare.ema_decay) == (
        recipe.batch_size, recipe.label_smoothing, recipe.clip_grad, recipe.ema_decay,
    )  # fmt: skip
    made = workload()
    images = made.pictures()
    normalise = Normalise(made.dataset.mean, made.dataset.std, made.device)
    generator = torch.Generator().manual_seed(0)
    order = torch.arange(8)
    augmentation = Augmentation(bare.model_copy(update={"batch_size": 8}), normalise)
    (stretch,) = augmentation.stretches(images, order, made.device, generator, mixing=True)
    ((inputs, share),) = stretch.batches
    assert share is None
    assert torch.equal(inputs, normalise(images.batch(order)))


@pytest.mark.parametrize(("task", "moves"), [("step", True), ("pipeline", False), ("training", True)])
def test_each_task(task: str, moves: bool) -> None:
    loop = OurLoop(workload())
    before = [parameter.clone() for parameter in loop._trainer.model.parameters()]
    with loop.ready(task, LoopSetting(1)) as run:  # type: ignore[arg-type]
        run(3)
    after = list(loop._trainer.model.parameters())
    assert any(not torch.equal(one, other) for one, other in zip(before, after, strict=True)) == moves


def test_no_image_comes_again_before_all_have_come() -> None:
    loop = OurLoop(workload(batch_size=1024))
    order = loop._order(3)
    assert len(order) == 3 * 1024
    assert torch.equal(order[:2048].sort().values, torch.arange(2048))
    assert len(order[2048:].unique()) == 1024

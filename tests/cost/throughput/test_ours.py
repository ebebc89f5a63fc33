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


@pytest.mark.parametrize(
    ("task", "threads", "moves"), [("step", 1, True), ("pipeline", 2, False), ("training", 1, True)]
)
def test_each_task(task: str, threads: int, moves: bool) -> None:
    """The pipeline's setting, too, leaves the trainer as it is: there is one at a time."""
    loop = OurLoop(workload())
    with loop.ready("step", LoopSetting(1)):
        trainer = loop._trainer
    assert trainer is not None
    before = [parameter.clone() for parameter in trainer.model.parameters()]
    with loop.ready(task, LoopSetting(threads)) as run:  # type: ignore[arg-type]
        run(3)
    after = list(trainer.model.parameters())
    assert any(not torch.equal(one, other) for one, other in zip(before, after, strict=True)) == moves


def test_a_trainer_has_the_threads_of_its_setting() -> None:
    loop = OurLoop(workload())
    for threads in (1, 2, 1):
        with loop.ready("training", LoopSetting(threads)) as run:
            run(1)
        assert loop._trainer is not None
        assert loop._trainer.threads == threads


def test_no_image_comes_again_before_all_have_come() -> None:
    loop = OurLoop(workload(batch_size=1024))
    order = loop._order(3)
    assert len(order) == 3 * 1024
    assert torch.equal(order[:2048].sort().values, torch.arange(2048))
    assert len(order[2048:].unique()) == 1024

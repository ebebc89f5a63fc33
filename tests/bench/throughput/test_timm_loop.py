"""timm's loop does what the recipe says: batches like ours, labels mixed, weights moved, workers gone in time."""

from __future__ import annotations

import multiprocessing
from itertools import islice
from pathlib import Path

import pytest
import torch
from timm.data.transforms import RandomResizedCropAndInterpolation
from torchvision import transforms

from suite.bench.throughput.timm_loop import TimmLoop, _loader
from suite.bench.throughput.turns import LoopSetting
from tests.bench.throughput.workloads import RECIPES, workload

# No thread but the one: a worker is forked, and torch's other threads aren't there in it.
PLAIN = LoopSetting(1)
SETTINGS = [PLAIN, LoopSetting(1, prefetcher=True)]


@pytest.fixture(autouse=True)
def _same_draws() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_batches_are_normalised_images_and_targets(path: Path, setting: LoopSetting) -> None:
    loop = TimmLoop(workload(path.stem))
    recipe = loop._workload.recipe
    batches = list(islice(loop.batches(setting), 4))
    for inputs, targets in batches:
        assert (inputs.shape, inputs.dtype) == ((8, 3, 32, 32), torch.float32)
        assert (targets.shape, targets.dtype) == (((8, 10), torch.float32) if recipe.mixes else ((8,), torch.int64))
    pixels = torch.stack([inputs for inputs, _ in batches])
    assert pixels.abs().max() < 6  # normal draws, where images are erased
    assert -2 < pixels.median() < 2
    assert 0.1 < pixels.std() < 2


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_labels_are_mixed_as_the_recipe_says(setting: LoopSetting) -> None:
    smoothing = 0.1
    loop = TimmLoop(workload(label_smoothing=smoothing))
    mixed = 0
    for _, targets in islice(loop.batches(setting), 8):
        assert torch.allclose(targets.sum(1), torch.ones(8))
        assert targets.min() == pytest.approx(smoothing / 10)
        classes = (targets > smoothing / 10 + 1e-6).sum(1)
        assert classes.max() <= 2
        mixed += int((classes == 2).sum())
    assert mixed > 32  # of 64; partners of one class, and boxes without area, are not


def test_without_mixing_targets_are_the_labels() -> None:
    made = workload("cifar_subset", crop_padding=0, flip=False)
    loop = TimmLoop(made)
    inputs, targets = next(loop.batches(PLAIN))
    pictures = made.pictures()
    mean, std = (torch.tensor(values)[:, None, None] for values in (made.dataset.mean, made.dataset.std))
    whole = (pictures.batch(torch.arange(len(pictures))).float() / 255 - mean) / std
    found = torch.cdist(inputs.flatten(1), whole.flatten(1)).argmin(1)
    assert torch.allclose(inputs, whole[found], atol=1e-5)
    assert torch.equal(targets, pictures.labels[found])


def test_each_crop_is_the_recipes() -> None:
    kinds = {}
    for name in ("compact_transformers_cifar10", "compact_transformers_legacy", "digits"):
        made = workload(name)
        loader = _loader(made, made.pictures(), PLAIN, None)
        kinds[name] = [type(step) for step in loader.dataset.transform.transforms]
    assert kinds["compact_transformers_cifar10"][0] is RandomResizedCropAndInterpolation
    assert kinds["compact_transformers_legacy"][:2] == [transforms.AutoAugment, transforms.RandomCrop]
    assert len(kinds["digits"]) == 2  # to a tensor, and normalised


@pytest.mark.parametrize("changes", [{}, {"clip_grad": 1.0, "ema_decay": 0.9}, {"mixup": 0.0, "cutmix": 0.0}])
@pytest.mark.parametrize("task", ["step", "training"])
def test_steps_move_the_weights(task: str, changes: dict[str, float]) -> None:
    loop = TimmLoop(workload(**changes, **({"mixup_first": False} if "mixup" in changes else {})))
    before = [parameter.clone() for parameter in loop._model.parameters()]
    with loop.ready(task, PLAIN) as run:  # type: ignore[arg-type]
        run(2)
    moved = [not torch.equal(one, other) for one, other in zip(before, loop._model.parameters(), strict=True)]
    assert sum(moved) > len(moved) / 2


def test_the_pipeline_alone_moves_nothing() -> None:
    loop = TimmLoop(workload())
    before = [parameter.clone() for parameter in loop._model.parameters()]
    with loop.ready("pipeline", PLAIN) as run:
        run(2)
    assert all(torch.equal(one, other) for one, other in zip(before, loop._model.parameters(), strict=True))


def test_workers_end_with_their_turn() -> None:
    loop = TimmLoop(workload())
    for setting in (LoopSetting(1, 2), LoopSetting(1, 1, prefetcher=True)):
        with loop.ready("pipeline", setting) as run:
            run(2)
            assert len(multiprocessing.active_children()) == setting.workers
        assert multiprocessing.active_children() == []

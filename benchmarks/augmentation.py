"""Images per second of processor time of the input pipeline, by turns with timm's, which takes image after image."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from timm.data.mixup import Mixup
from timm.data.transforms_factory import create_transform

from suite.data.images import ArrayImages
from suite.documents import load_document
from suite.recipe import Recipe
from suite.training.augmentation.mixing import mixed_targets
from suite.training.augmentation.pipeline import Augmentation, Normalise

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
RECIPE = "compact_transformers_cifar10"
BATCHES = 8  # of one turn
TURNS = 7


def throughputs() -> tuple[float, float]:
    """The suite's pipeline and timm's, on one core with the recipe for CIFAR-10: medians over turns."""
    recipe = load_document(Path("grids/recipes") / f"{RECIPE}.yaml", Recipe)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        data = _pictures(BATCHES * recipe.batch_size)
        sides = [_ours(recipe, data), _timms(recipe, data)]
        times: list[list[float]] = [[], []]
        for turn in range(TURNS + 1):
            for side, found in zip(sides, times, strict=True):
                began = time.process_time()
                for _ in range(BATCHES):
                    next(side)
                if turn:  # the first warms up
                    found.append(BATCHES * recipe.batch_size / (time.process_time() - began))
    finally:
        torch.set_num_threads(threads)
    return statistics.median(times[0]), statistics.median(times[1])


def _pictures(count: int) -> ArrayImages:
    """Slopes and noise, of the size of CIFAR's pictures: what operations cost doesn't depend on what they show."""
    random = np.random.default_rng(0)
    slopes = np.linspace(0, 1, 32)[:, None, None] * random.integers(0, 200, (count, 1, 1, 3))
    pixels = (slopes + random.integers(0, 56, (count, 32, 32, 3))).astype(np.uint8)
    return ArrayImages(torch.from_numpy(pixels), torch.from_numpy(random.integers(0, 10, count)))


def _ours(recipe: Recipe, data: ArrayImages) -> Iterator[object]:
    device, generator = torch.device("cpu"), torch.Generator().manual_seed(0)
    augmentation = Augmentation(recipe, Normalise(MEAN, STD, device))
    while True:
        order = torch.randperm(len(data))
        for stretch in augmentation.stretches(data, order, device, generator, mixing=True):
            parts = stretch.indices.split(recipe.batch_size)
            for indices, (inputs, share) in zip(parts, stretch.batches, strict=True):
                assert share is not None
                labels = data.labels[indices]
                yield inputs, mixed_targets(labels, labels.flip(0), share, 10, recipe.label_smoothing)


def _timms(recipe: Recipe, data: ArrayImages) -> Iterator[object]:
    transform: Callable[[Image.Image], torch.Tensor] = create_transform(
        32,
        is_training=True,
        scale=recipe.crop_scale,
        ratio=recipe.crop_ratio,
        interpolation=recipe.interpolation,
        auto_augment=recipe.auto_augment,
        re_prob=recipe.erase_prob,
        re_mode=recipe.erase_mode,
        mean=MEAN,
        std=STD,
    )
    mixup: Callable[..., object] = Mixup(  # type: ignore[no-untyped-call]
        recipe.mixup, recipe.cutmix, label_smoothing=recipe.label_smoothing, num_classes=10
    )
    pictures = [Image.fromarray(image) for image in data.pixels.numpy()]
    while True:
        for indices in torch.randperm(len(data)).split(recipe.batch_size):
            images = torch.stack([transform(pictures[index]) for index in indices.tolist()])
            yield mixup(images, data.labels[indices])

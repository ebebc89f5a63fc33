"""Large images, which are augmented one at a time, against the same operations on batches."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch

from suite.data.images import ArrayImages
from suite.grid.recipe import Recipe
from suite.train.augmentation import large_images, mixing, pipeline, sizes, tables
from suite.train.augmentation.layers import apply_layer, apply_operation
from suite.train.augmentation.operations import OPERATIONS, Layer
from suite.train.augmentation.pipeline import Augmentation, Normalise
from suite.train.thread_pools import shared_pool
from tests.pictures import photographs

CPU = torch.device("cpu")
SIZE = (130, 131)
FILL = torch.tensor([125, 123, 114], dtype=torch.uint8)
ARGUMENTS = {"Rotate": 27.0, "ShearX": -0.3, "ShearY": 0.2, "TranslateX": 40.4, "TranslateY": -7.3, "Posterize": 3.0,
             "Solarize": 100.0, "SolarizeAdd": 90.0}  # fmt: skip


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("interpolation", range(3))
@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_on_one_image_gives_the_bits_of_the_batch(name: str, interpolation: int, channels: int) -> None:
    images, fill = photographs(8, *SIZE)[:, :channels].contiguous(), FILL[:channels]
    number = OPERATIONS.index(name)
    arguments = torch.full((8,), ARGUMENTS.get(name, 1.7), dtype=torch.float64)
    layer = Layer(torch.full((8,), number), arguments, torch.full((8,), interpolation))
    together = apply_layer(images, layer, fill)
    for i in range(8):
        alone = apply_operation(images[i : i + 1], number, arguments[i : i + 1], interpolation, fill)
        assert torch.equal(alone, together[i : i + 1])


RECIPES: list[dict[str, Any]] = [
    {"auto_augment": "rand-m9-mstd0.5-inc1-p1", "mixup": 0.8, "interpolation": "random", "erase_prob": 0.5},
    {"auto_augment": "cifar10", "crop_scale": None, "mixup": 0.8, "mixup_mode": "elem"},
    {"mixup": 0.8, "mixup_first": True, "erase_prob": 0.5},
    {"cutmix": 1.0, "erase_prob": 0.5},
    {"crop_scale": None, "crop_padding": 4},
]


def batches(recipe: Recipe) -> list[torch.Tensor]:
    pictures = photographs(24, *SIZE).permute(0, 2, 3, 1).contiguous()
    images = ArrayImages(pictures, torch.zeros(24, dtype=torch.long))
    normalise = Normalise((0.5, 0.4, 0.3), (0.2, 0.3, 0.1), CPU)
    generator, order = torch.Generator().manual_seed(3), torch.arange(24)
    stretches = Augmentation(recipe, normalise).stretches(images, order, CPU, generator, mixing=True)
    return [inputs for stretch in stretches for inputs, _ in stretch.batches]


@pytest.mark.parametrize("values", RECIPES)
def test_batches_have_the_bits_and_the_layout_of_small_images(
    values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = {"version": 1, "epochs": 1, "batch_size": 8, "lr": 1.0, "crop_scale": (0.1, 1.0), "flip": True, **values}
    recipe = Recipe.model_validate(whole)
    monkeypatch.setattr(pipeline, "TOGETHER", 16)
    one_by_one = batches(recipe)
    monkeypatch.setattr(sizes, "LARGE", 10**9)
    together = batches(recipe)
    assert len(one_by_one) == len(together) == 3
    for first, second in zip(one_by_one, together, strict=True):
        assert torch.equal(first, second)
        assert first.stride() == second.stride()
    assert all(module.is_large is sizes.is_large for module in (large_images, mixing, pipeline, tables))


def test_the_values_do_not_depend_on_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = {
        "version": 1,
        "epochs": 1,
        "batch_size": 8,
        "lr": 1.0,
        "crop_scale": (0.1, 1.0),
        "flip": True,
        **RECIPES[0],
    }
    recipe, used = Recipe.model_validate(whole), list[int]()

    def noted(threads: int) -> ThreadPoolExecutor:
        used.append(threads)
        return shared_pool(threads)

    monkeypatch.setattr(large_images, "shared_pool", noted)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = batches(recipe)
        assert used == []
        torch.set_num_threads(3)
        together = batches(recipe)
    finally:
        torch.set_num_threads(before)
    assert used == [3] * len(used) != []
    assert all(torch.equal(*pair) for pair in zip(alone, together, strict=True))

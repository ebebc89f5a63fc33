"""What a recipe does to a batch: the parts in their order, and that a recipe without them draws nothing."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import PIL
import pytest
import timm
import torch
from timm.data.transforms_factory import create_transform

from suite.data.images import ArrayImages
from suite.grid.recipe import Recipe
from suite.train.augmentation.pipeline import Augmentation, Normalise
from tests.pictures import photographs, to_pillow

CPU = torch.device("cpu")
MEAN, STD = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)
WHOLE = {
    "crop_scale": (0.8, 1.0),
    "interpolation": "random",
    "flip": True,
    "auto_augment": "rand-m9-mstd0.5-inc1",
    "erase_prob": 0.25,
    "mixup": 0.8,
    "cutmix": 1.0,
}


def augmentation(**values: Any) -> Augmentation:
    recipe = Recipe.model_validate({"version": 1, "epochs": 1, "batch_size": 1000, "lr": 1.0, **values})
    return Augmentation(recipe, Normalise(MEAN, STD, CPU))


def data(channels: int = 3) -> ArrayImages:
    pixels = photographs()[:, :channels].permute(0, 2, 3, 1).contiguous()
    return ArrayImages(pixels, torch.zeros(len(pixels), dtype=torch.long))


def run(chosen: Augmentation, images: ArrayImages, mixing: bool = True) -> tuple[torch.Tensor, torch.Tensor | None]:
    """All images at once: as one batch."""
    generator = torch.Generator().manual_seed(0)
    (stretch,) = chosen.stretches(images, torch.arange(len(images)), CPU, generator, mixing)
    (batch,) = stretch.batches
    return batch


def test_normalise() -> None:
    images = photographs()
    normalise = Normalise(MEAN, STD, CPU)
    expected = (images.double() / 255 - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    assert torch.allclose(normalise(images).double(), expected, atol=1e-6)
    assert normalise.fill.tolist() == [26, 51, 76]


def test_a_recipe_without_augmentation_draws_nothing_and_changes_nothing() -> None:
    chosen, generator = augmentation(), torch.Generator().manual_seed(3)
    state = generator.get_state()
    (stretch,) = chosen.stretches(data(), torch.arange(80), CPU, generator, mixing=True)
    ((inputs, share),) = stretch.batches
    assert torch.equal(inputs, Normalise(MEAN, STD, CPU)(photographs()))
    assert share is None
    assert torch.equal(generator.get_state(), state)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("values", [WHOLE, {"crop_padding": 4, "flip": True, "auto_augment": "cifar10"}])
def test_the_same_draws_give_the_same_batch_and_others_another(values: dict[str, Any], channels: int) -> None:
    recipe = Recipe.model_validate({"version": 1, "epochs": 1, "batch_size": 1000, "lr": 1.0, **values})
    chosen = Augmentation(recipe, Normalise(MEAN[:channels], STD[:channels], CPU))
    made = [run(chosen, data(channels))[0] for _ in range(2)]
    assert torch.equal(*made)
    assert made[0].shape == (80, channels, 32, 32)
    plain = Normalise(MEAN[:channels], STD[:channels], CPU)(photographs()[:, :channels])
    assert not torch.equal(made[0], plain)


@pytest.mark.parametrize(
    ("values", "read"),
    [
        ({"batch_size": 16, "crop_padding": 2, "flip": True}, [16] * 5),
        ({"batch_size": 16, "auto_augment": "cifar10"}, [80]),
        ({"batch_size": 1000, "auto_augment": "rand"}, [80]),
    ],
)
def test_batches_are_read_together_only_where_that_changes_no_older_draw(
    values: dict[str, Any], read: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen, order = augmentation(**values), torch.arange(80).flip(0)
    counts: list[int] = []
    batch = ArrayImages.batch

    def note(self: ArrayImages, indices: torch.Tensor, crop_ratio: float = 1.0) -> torch.Tensor:
        counts.append(len(indices))
        return batch(self, indices, crop_ratio)

    monkeypatch.setattr(ArrayImages, "batch", note)
    stretches = list(chosen.stretches(data(), order, CPU, torch.Generator().manual_seed(0), mixing=True))
    assert counts == []  # nothing is read before it is asked for
    assert torch.equal(torch.cat([stretch.indices for stretch in stretches]), order)
    made = [inputs for stretch in stretches for inputs, _ in stretch.batches]
    assert counts == [len(stretch.indices) for stretch in stretches] == read
    assert [len(part) for part in made] == ([16] * 5 if values["batch_size"] == 16 else [80])
    assert chosen.stretch_size == {16: 512 if "auto_augment" in values else 16, 1000: 1000}[values["batch_size"]]


def test_mixing_can_be_off() -> None:
    chosen = augmentation(**WHOLE)
    (_, on), (_, off) = (run(chosen, data(), mixing) for mixing in (True, False))
    assert off is None
    assert on is not None


@pytest.mark.parametrize("first", [False, True])
def test_the_order_of_mixing_and_erasing(first: bool) -> None:
    """Erased boxes show zeros: they are half of something else where mixing came later."""
    chosen = augmentation(erase_prob=1.0, erase_mode="const", mixup=1000.0, mixup_first=first)
    images = ArrayImages(torch.full((40, 32, 32, 3), 255, dtype=torch.uint8), torch.zeros(40, dtype=torch.long))
    inputs, share = run(chosen, images)
    assert share is not None
    plain = Normalise(MEAN, STD, CPU)(torch.full((1, 3, 1, 1), 255, dtype=torch.uint8))
    levels = {round(float(value), 2) for value in (inputs / plain).flatten()}
    own = round(float(share[0, 0]), 2)
    assert levels == ({0.0, 1.0} if first else {0.0, own, round(1 - own, 2), 1.0})


def test_the_learned_policy_comes_before_the_crop() -> None:
    """The crop's padding stays black, which equalising or inverting would have changed."""
    chosen = augmentation(auto_augment="cifar10", crop_padding=8)
    images = ArrayImages(torch.full((400, 32, 32, 3), 255, dtype=torch.uint8), torch.zeros(400, dtype=torch.long))
    inputs, _ = run(chosen, images)
    black, white = (Normalise(MEAN, STD, CPU)(torch.full((1, 3, 1, 1), level).byte()) for level in (0, 255))
    corners = torch.stack([inputs[:, :, row, column] for row in (0, -1) for column in (0, -1)])
    assert (corners == black[..., 0, 0]).all(2).any(0).float().mean() > 0.95  # hardly any crop is not moved
    assert (inputs[:, :, 12:20, 12:20] != white).any()  # some of the policy shows


def features(images: torch.Tensor) -> torch.Tensor:
    """Of each image [B, C, H, W]: per channel its mean, deviation, slopes, steps and share of noise: [B, features]."""
    right, down = images.diff(dim=3), images.diff(dim=2)
    outside = (images < images.amin((2, 3), keepdim=True) + 1e-6).float()
    parts = [
        images.mean((2, 3)),
        images.std((2, 3)),
        right.mean((2, 3)),
        down.mean((2, 3)),
        right.abs().mean((2, 3)),
        down.abs().mean((2, 3)),
        outside.mean((2, 3)),
        (images**4).mean((2, 3)),
    ]
    return torch.cat(parts, dim=1).double()


def test_the_whole_pipeline_is_distributed_as_timms() -> None:
    """Crop, flip, RandAugment, normalisation and erasing: features of each photograph, over many draws of either."""
    repeats, count = 24, 75  # without the hard cases
    mean, std = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
    values = {name: value for name, value in WHOLE.items() if name not in ("mixup", "cutmix")}
    recipe = Recipe.model_validate({"version": 1, "epochs": 1, "batch_size": count, "lr": 1.0, **values})
    images = ArrayImages(data().pixels[:count], torch.zeros(count, dtype=torch.long))
    order = torch.arange(count).repeat(repeats)
    stretches = Augmentation(recipe, Normalise(mean, std, CPU)).stretches(
        images, order, CPU, torch.Generator().manual_seed(0), mixing=False
    )
    ours = torch.cat([features(inputs) for stretch in stretches for inputs, _ in stretch.batches])
    transform = create_transform(
        32,
        is_training=True,
        scale=recipe.crop_scale,
        ratio=recipe.crop_ratio,
        interpolation=recipe.interpolation,
        auto_augment=recipe.auto_augment,
        re_prob=recipe.erase_prob,
        re_mode=recipe.erase_mode,
        mean=mean,
        std=std,
    )
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    pictures = to_pillow(photographs()[:count])
    theirs = torch.cat([features(torch.stack([transform(picture) for picture in pictures])) for _ in range(repeats)])
    a, b = (found.view(repeats, count, -1) for found in (ours, theirs))
    centre = torch.cat([a, b]).mean(0)
    for power in (1, 2):  # the mean of each photograph's features, and their spread
        found, expected = (a - centre) ** power, (b - centre) ** power
        error = ((found.var(0) + expected.var(0)) / repeats).sum(0).sqrt()
        score = (found.mean(0) - expected.mean(0)).sum(0).abs() / error
        assert score.max() < 4.5, f"against timm {timm.__version__} with Pillow {PIL.__version__}: {score.tolist()}"

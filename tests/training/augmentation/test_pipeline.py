"""What a recipe does to a batch: the parts in their order, and that a recipe without them draws nothing."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from suite.data.images import ArrayImages
from suite.recipe import Recipe
from suite.training.augmentation.pipeline import Augmentation, Normalise
from tests.pictures import photographs

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

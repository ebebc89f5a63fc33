"""The augmentation of images with masks that are larger than the model's input, as Segmenter's recipe has it."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from suite.data.scene_images import SceneImages
from suite.data.segmentation.settings import PADDING
from suite.grid.documents import load_document
from suite.grid.recipe import Recipe
from suite.train.augmentation import sizes
from suite.train.augmentation.pipeline import Augmentation, Normalise
from tests.conftest import REPOSITORY

BATCH, BATCHES, SIDE = 6, 4, 16
RECIPE = load_document(REPOSITORY / "grids/recipes/segmenter_ade20k.yaml", Recipe).model_copy(
    update={"batch_size": BATCH}
)  # fmt: skip


def images() -> SceneImages:
    """Of two sizes; the colour of a pixel is 20 times its mask's value, and the mask has 0 to 9."""
    pixels = torch.zeros(BATCH * BATCHES, 24, 32, 4, dtype=torch.uint8)
    random = torch.randint(0, 10, (len(pixels), 6, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    pixels[..., 3] = random.repeat_interleave(4, 1).repeat_interleave(4, 2)
    pixels[..., :3] = 20 * pixels[..., 3:]
    pixels[::3, 20:, :, 3] = PADDING
    pixels[::3, 20:, :, :3] = 0
    return SceneImages(pixels, torch.zeros(len(pixels), dtype=torch.int64), None, SIDE)


def batches(recipe: Recipe = RECIPE, joined: int = 0, part: torch.Tensor | None = None, **rest: Any) -> torch.Tensor:
    """All batches, with pixels from 0 to 1 and masks as they are stored: [N, 4, SIDE, SIDE]."""
    normalise = Normalise((0.0,) * 4, (1.0, 1.0, 1.0, 1 / 255), torch.device("cpu"))
    order, generator = torch.arange(BATCH * BATCHES), torch.Generator().manual_seed(7)
    pipeline = Augmentation(recipe, normalise, joined)
    found = []
    for stretch in pipeline.stretches(images(), order, torch.device("cpu"), generator, False, part):
        found += [inputs for inputs, _ in stretch.batches]
    return torch.cat(found)


def test_images_and_masks_move_together() -> None:
    """Without photometric distortion, a pixel away from an edge has the colour of its mask's value."""
    assert RECIPE.scenes is not None
    found = batches(RECIPE.model_copy(update={"scenes": RECIPE.scenes.model_copy(update={"colours": False})}))
    assert found.shape == (BATCH * BATCHES, 4, SIDE, SIDE)
    colours, masks = found[:, 0] * 255 / 20, found[:, 3].round()
    assert masks.max() == 9
    close = (colours - masks).abs() < 0.11
    assert close.float().mean() > 0.5  # the others are mixtures at edges
    flat = torch.ones_like(masks, dtype=torch.bool)
    for shift in (1, -1):
        for axis in (1, 2):
            flat &= masks.roll(shift, axis) == masks
    flat[:, [0, -1]], flat[:, :, [0, -1]] = False, False
    assert close[flat].float().mean() > 0.9


def test_colours_change_and_masks_dont() -> None:
    assert RECIPE.scenes is not None
    plain = batches(RECIPE.model_copy(update={"scenes": RECIPE.scenes.model_copy(update={"colours": False})}))
    found = batches()
    first = slice(0, BATCH * BATCHES)  # the colours' draws come after those of the crops, and before those of the flips
    assert not torch.equal(found[first, :3], plain[first, :3])
    assert set(found[:, 3].round().unique().tolist()) <= set(range(10))


def test_colours_change_in_large_crops_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a CPU, large images are augmented one at a time."""
    found = batches()
    monkeypatch.setattr(sizes, "LARGE", SIDE * SIDE)
    assert torch.equal(batches(), found)


@pytest.mark.parametrize("part", [torch.tensor([0, 3]), torch.tensor([1, 2, 4, 5])])
def test_a_part_of_each_batch_is_what_it_is_in_the_whole(part: torch.Tensor) -> None:
    whole = batches().unflatten(0, (BATCHES, BATCH))
    assert torch.equal(batches(part=part).unflatten(0, (BATCHES, len(part))), whole[:, part])


def test_stretches_augmented_as_one_are_as_each_by_itself() -> None:
    assert torch.equal(batches(joined=2**25).contiguous(), batches())

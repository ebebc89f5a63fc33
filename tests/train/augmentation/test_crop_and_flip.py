"""Crop and flip: against plain loops, and in distribution."""

from __future__ import annotations

import pytest
import torch

from suite.train.augmentation.crop_and_flip import draw_moves, move


def pictures(batch: int, channels: int = 3, height: int = 7, width: int = 5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(1, 256, (batch, channels, height, width), generator=generator, dtype=torch.uint8)


def moved(images: torch.Tensor, padding: int, flip: bool, seed: int) -> torch.Tensor:
    moves = draw_moves(len(images), padding, flip, torch.Generator().manual_seed(seed))
    assert moves is not None
    return move(images, moves)


def candidates(image: torch.Tensor, padding: int, flip: bool) -> list[torch.Tensor]:
    """Every outcome for one image: each offset, with and without a flip, by slicing."""
    channels, height, width = image.shape
    padded = torch.zeros(channels, height + 2 * padding, width + 2 * padding, dtype=torch.uint8)
    padded[:, padding : padding + height, padding : padding + width] = image
    crops = [
        padded[:, top : top + height, left : left + width]
        for top in range(2 * padding + 1)
        for left in range(2 * padding + 1)
    ]
    return [*crops, *(crop.flip(2) for crop in crops)] if flip else crops


@pytest.mark.parametrize(("padding", "flip"), [(0, True), (1, False), (2, True)])
def test_each_image_becomes_each_of_its_outcomes_about_equally_often(padding: int, flip: bool) -> None:
    image = pictures(1)
    copies = 2000
    made = moved(image.expand(copies, -1, -1, -1), padding, flip, 1)
    assert made.dtype == torch.uint8
    outcomes = candidates(image[0], padding, flip)
    counts = torch.stack([(made == outcome).flatten(1).all(1).sum() for outcome in outcomes])
    assert int(counts.sum()) == copies  # nothing but these outcomes, each image its own
    expected = copies / len(outcomes)
    chi_squared = float(((counts - expected) ** 2 / expected).sum())
    assert chi_squared < 2 * len(outcomes) + 20


def test_images_draw_on_their_own_and_stay_in_place() -> None:
    images = pictures(40)
    made = moved(images, 1, True, 2)
    for image, outcome in zip(images, made, strict=True):
        assert any(torch.equal(outcome, candidate) for candidate in candidates(image, 1, True))


def test_without_either_nothing_is_drawn() -> None:
    generator = torch.Generator().manual_seed(3)
    state = generator.get_state()
    assert draw_moves(3, 0, False, generator) is None
    assert torch.equal(generator.get_state(), state)


def test_the_same_generator_gives_the_same_batch() -> None:
    made = [moved(pictures(9), 2, True, 4) for _ in range(2)]
    assert torch.equal(*made)

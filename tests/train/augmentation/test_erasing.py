"""Random erasing against timm's: what is erased, how often, where, and by what."""

from __future__ import annotations

import random

import pytest
import torch
from timm.data.random_erasing import RandomErasing

from suite.train.augmentation.erasing import draw_patches, erase

COUNT = 3000
START = 9.0  # far from anything that is drawn


def ours(probability: float, mode: str, most: int, count: int = COUNT) -> torch.Tensor:
    images = torch.full((count, 3, 32, 32), START)
    generator = torch.Generator().manual_seed(0)
    made = erase(images, draw_patches((count, 3, 32, 32), probability, mode, most, generator))  # type: ignore[arg-type]
    assert made is images
    return made


def timms(probability: float, mode: str, most: int) -> torch.Tensor:
    random.seed(0)
    torch.manual_seed(0)
    eraser = RandomErasing(probability, mode=mode, max_count=most, device="cpu")
    return eraser(torch.full((COUNT, 3, 32, 32), START))


@pytest.mark.parametrize(("probability", "most"), [(0.25, 1), (1.0, 1), (0.7, 3)])
def test_as_often_as_much_and_in_the_same_places_as_timm(probability: float, most: int) -> None:
    found, expected = (
        (images != START).any(1) for images in (ours(probability, "const", most), timms(probability, "const", most))
    )
    shares = [masks.flatten(1).double().mean(1) for masks in (found, expected)]
    for mean in (lambda share: (share > 0).double(), lambda share: share, lambda share: share**2):
        a, b = (mean(share) for share in shares)
        assert abs(a.mean() - b.mean()) < 4 * ((a.var() + b.var()) / COUNT).sqrt() + 1e-9
    for axis in (1, 2):  # the profile over rows and over columns
        a, b = (masks.double().mean(axis) for masks in (found, expected))
        assert (abs(a.mean(0) - b.mean(0)) < 5 * ((a.var(0) + b.var(0)) / COUNT).sqrt()).all()


def test_one_box_is_a_rectangle_of_all_channels_within_its_bounds() -> None:
    for image in ours(1.0, "const", 1, 300):
        mask = image != START
        assert torch.equal(mask[0], mask[1])
        assert torch.equal(mask[0], mask[2])
        rows, columns = mask[0].any(1).nonzero(), mask[0].any(0).nonzero()
        height, width = (int(at.max() - at.min()) + 1 for at in (rows, columns))
        assert mask[0].sum() == height * width
        assert 0.01 < height * width / 1024 < 0.37
        assert 0.2 < height / width < 5


def test_what_a_box_shows() -> None:
    const, rand, pixel = (ours(1.0, mode, 1, 500) for mode in ("const", "rand", "pixel"))
    assert (const[const != START] == 0).all()
    drawn = [image[:, (image[0] != START)] for image in rand]
    assert all((values == values[:, :1]).all() for values in drawn)
    colours = torch.stack([values[:, 0] for values in drawn])
    assert len(colours.unique()) == colours.numel()
    noise = pixel[pixel != START]
    assert len(noise.unique()) > 0.9 * len(noise)
    for values in (colours, noise):
        assert abs(values.mean()) < 4 / values.numel() ** 0.5
        assert float(values.std()) == pytest.approx(1, abs=0.06)


def test_each_image_has_its_own_draw_and_the_generator_gives_it() -> None:
    first, again = ours(0.5, "pixel", 2, 50), ours(0.5, "pixel", 2, 50)
    assert torch.equal(first, again)
    masks = {tuple((image[0] != START).flatten().tolist()) for image in first}
    assert len(masks) > 15


def test_without_probability_nothing_is_erased() -> None:
    assert (ours(0.0, "pixel", 1, 100) == START).all()

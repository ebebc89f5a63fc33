"""Mixup and CutMix against timm's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from timm.data.mixup import Mixup, mixup_target

from suite.grid.recipe import Recipe
from suite.train.augmentation.mixing import draw_mixing, mix, mixed_targets

BATCH, SIDE = 8, 12


def recipe(**values: Any) -> Recipe:
    return Recipe.model_validate({"version": 1, "epochs": 1, "batch_size": 2, "lr": 1.0, **values})


def images() -> torch.Tensor:
    """Image i has the value i everywhere, so that each pixel tells whose it is."""
    return torch.arange(BATCH).float().view(-1, 1, 1, 1).expand(BATCH, 3, SIDE, SIDE).contiguous()


def mixed_images(chosen: Recipe, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    mixing = draw_mixing((BATCH, 3, SIDE, SIDE), chosen, generator)
    return mix(images(), mixing), mixing.share


def own_part(mixed: torch.Tensor) -> torch.Tensor:
    """What of each pixel is the image's own: [B, H, W]."""
    start = images()
    return ((mixed - start.flip(0)) / (start - start.flip(0)))[:, 0]


MODES = ["batch", "pair", "elem"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("values", [{"mixup": 0.8}, {"cutmix": 1.0}, {"mixup": 0.8, "cutmix": 1.0}])
def test_the_share_is_that_of_the_pixels(mode: str, values: dict[str, float]) -> None:
    generator = torch.Generator().manual_seed(0)
    kinds = set()
    for _ in range(40):
        mixed, share = mixed_images(recipe(mixup_mode=mode, **values), generator)
        assert share.shape == (BATCH, 1)
        part = own_part(mixed)
        assert torch.allclose(part.mean((1, 2)), share[:, 0], atol=1e-4)
        cut = ((part < 1e-4) | (part > 1 - 1e-4)).flatten(1).all(1)
        blend = (part - part[:, :1, :1]).abs().flatten(1).amax(1) < 1e-4
        assert (cut | blend).all()
        kinds |= {"cut"} if (cut & ~blend).any() else set()
        kinds |= {"blend"} if (blend & ~cut).any() else set()
        for row in part[cut & ~blend]:  # one box, taken whole from the partner
            other = row < 0.5
            assert other.sum() == other.any(0).sum() * other.any(1).sum()
        if mode == "batch":
            assert torch.allclose(part, part[:1].expand_as(part), atol=1e-4)
        if mode == "pair":
            assert torch.allclose(part, part.flip(0), atol=1e-4)
            assert torch.equal(share, share.flip(0))
        if mode != "batch":
            assert len(share.unique()) > 1
    assert kinds == {{"mixup": "blend", "cutmix": "cut"}[name] for name in values}


def even_box(shape: tuple[int, ...], lam: Any, margin: float = 0.0, count: Any = None) -> tuple[Any, ...]:
    """The boxes of timm up to version 0.9, in place of those of version 1."""
    sides = [int(length * np.sqrt(1 - lam)) // 2 for length in shape[-2:]]
    centres = [np.random.randint(0, length, size=count) for length in shape[-2:]]
    ends = [
        np.clip(centre + step * half, 0, length)
        for centre, half, length in zip(centres, sides, shape[-2:], strict=True)
        for step in (-1, 1)
    ]
    return tuple(ends)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "values",
    [
        {"mixup": 0.8, "cutmix": 1.0},
        {"mixup": 0.2, "mixup_prob": 0.6},
        {"cutmix": 0.5},
        {"mixup": 0.8, "cutmix": 1.0, "mixup_switch_prob": 0.1, "mixup_prob": 0.9},
    ],
)
def test_shares_are_distributed_as_timms(mode: str, values: dict[str, float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("timm.data.mixup.rand_bbox", even_box)
    calls, each = {"batch": (1200, 1), "pair": (300, BATCH // 2), "elem": (150, BATCH)}[mode]
    generator = torch.Generator().manual_seed(0)
    chosen = recipe(mixup_mode=mode, **values)
    ours = torch.stack([mixed_images(chosen, generator)[1][:each, 0] for _ in range(calls)]).double()
    np.random.seed(0)
    timm = Mixup(chosen.mixup, chosen.cutmix, None, chosen.mixup_prob, chosen.mixup_switch_prob, mode, True, 0.0, BATCH)
    labels = torch.arange(BATCH)
    theirs = torch.stack([timm(images(), labels)[1].diagonal()[:each] for _ in range(calls)]).double()
    for value in (lambda x: x, lambda x: x * x, lambda x: (x == 1).double()):
        a, b = value(ours), value(theirs)
        assert abs(a.mean() - b.mean()) < 4 * ((a.var() + b.var()) / a.numel()).sqrt() + 1e-9


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_targets_are_timms(smoothing: float) -> None:
    labels = torch.tensor([3, 0, 0, 6, 2, 2])
    share = torch.tensor([0.9, 0.1, 0.5, 1.0, 0.0, 0.7])[:, None]
    found = mixed_targets(labels, labels.flip(0), share, 7, smoothing)
    assert torch.allclose(found, mixup_target(labels, 7, share, smoothing), atol=1e-7)
    assert torch.allclose(found.sum(1), torch.ones(6))


def test_the_same_generator_gives_the_same_mix() -> None:
    chosen = recipe(mixup=0.8, cutmix=1.0, mixup_mode="elem")
    mixed = [mixed_images(chosen, torch.Generator().manual_seed(4)) for _ in range(2)]
    assert torch.equal(mixed[0][0], mixed[1][0])
    assert torch.equal(mixed[0][1], mixed[1][1])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("cell", [1, 3, 4, 6])
def test_on_a_grid_boxes_are_of_whole_cells_within_the_image(mode: str, cell: int) -> None:
    generator, chosen = torch.Generator().manual_seed(0), recipe(cutmix=1.0, cutmix_grid=cell, mixup_mode=mode)
    sides = set()
    for _ in range(200 if mode == "batch" else 40):  # the others draw several boxes for a batch
        mixing = draw_mixing((BATCH, 3, SIDE, SIDE), chosen, generator)
        part = own_part(mix(images(), mixing))
        assert torch.allclose(part.mean((1, 2)), mixing.share[:, 0], atol=1e-6)
        cells = part.unflatten(2, (-1, cell)).unflatten(1, (-1, cell))
        assert torch.equal(cells, cells[:, :, :1, :, :1].expand_as(cells))
        boxes = mixing.boxes()
        assert boxes.shape == (4, BATCH)
        for (top, bottom, left, right), own in zip(boxes.T.tolist(), part, strict=True):
            assert 0 <= top <= bottom <= SIDE
            assert bottom - top == right - left
            assert (own[top:bottom, left:right] == 0).all()
            assert own.sum() == SIDE * SIDE - (bottom - top) * (right - left)
            sides.add((bottom - top) // cell)
    assert sides >= set(range(1, SIDE // cell + 1))


def test_where_nothing_is_cut_a_box_is_empty() -> None:
    chosen = recipe(cutmix=1.0, mixup=0.8, mixup_prob=0.7, mixup_mode="elem")
    mixing = draw_mixing((BATCH, 3, SIDE, SIDE), chosen, torch.Generator().manual_seed(3))
    top, bottom, left, right = mixing.boxes()
    assert 0 < mixing.cut.sum() < BATCH
    assert ((bottom - top) * (right - left))[~mixing.cut].sum() == 0

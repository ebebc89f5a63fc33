"""Mixup and CutMix. Each image is mixed with its partner: the image at its place in the reversed batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from suite.data.transfer import to_device
from suite.grid.recipe import Recipe
from suite.train.augmentation.sizes import is_large

Shares = NDArray[np.float32]  # the weight of the image itself; its partner has the rest


@dataclass(frozen=True)
class Mixing:
    """The random draws for a batch, on the CPU: n is 1 if all images are mixed alike, else B.

    Args:
        blend: Mixup's weight of the image itself, float32 [n].
        cut: Whether CutMix is used instead of Mixup, bool [n].
        box: CutMix's box: top, bottom, left and right, int64 [4, n].
        share: The weight of the image's own label, float32 [B, 1]. Its partner's label has the rest.
    """

    blend: Tensor
    cut: Tensor
    box: Tensor
    share: Tensor

    def boxes(self) -> Tensor:
        """The box of each image that its partner fills, int64 [4, B]; empty where CutMix is not used."""
        return (self.box * self.cut).expand(4, len(self.share))

    @classmethod
    def joined(cls, parts: Sequence[Mixing]) -> Mixing:
        """Concatenate the draws for several batches. The result has one draw per image."""
        blend, cut = (
            torch.cat([getattr(part, name).expand(len(part.share)) for part in parts]) for name in ("blend", "cut")
        )
        box = torch.cat([part.box.expand(4, len(part.share)) for part in parts], dim=1)
        return cls(blend, cut, box, torch.cat([part.share for part in parts]))

    def take(self, images: Tensor) -> Mixing:
        """The draws for the images at these indices, int64 [n]. The partner of each must be among them."""
        if len(self.cut) == 1:  # all are mixed alike
            return Mixing(self.blend, self.cut, self.box, self.share[images])
        return Mixing(self.blend[images], self.cut[images], self.box[:, images], self.share[images])


def draw_mixing(shape: tuple[int, int, int, int], recipe: Recipe, generator: torch.Generator) -> Mixing:
    """Draw mixing for a batch.

    Source: timm 0.3 to 0.9 `Mixup`, as in the published recipes, with its correction of the share of boxes that the
    border cuts off. Later versions make boxes with odd sides one row larger. With `recipe.cutmix_grid` (DiversePatch,
    arXiv 2104.12753), boxes consist of whole cells and lie within the image.

    Args:
        shape: The shape of the batch, [B, C, H, W], with an even B.
        recipe: The recipe.
        generator: A generator on the CPU.
    """
    batch, _, height, width = shape
    count = {"batch": 1, "pair": batch // 2, "elem": batch}[recipe.mixup_mode]
    drawn, cuts = _draw_shares(recipe, count, _numpy(generator))
    if recipe.cutmix_grid is None:
        boxes = _draw_boxes(drawn, height, width, generator)
    else:
        boxes = _draw_cells(drawn, height, width, recipe.cutmix_grid, generator)
    top, bottom, left, right = boxes
    of_cut = 1 - ((bottom - top) * (right - left)).astype(np.float32) / np.float32(height * width)
    blend, cut, box, share = map(torch.from_numpy, (drawn, cuts, boxes, np.where(cuts, of_cut, drawn)))
    if recipe.mixup_mode == "pair":
        blend, cut, share = (torch.cat([part, part.flip(0)]) for part in (blend, cut, share))
        box = torch.cat([box, box.flip(1)], dim=1)
    return Mixing(blend, cut, box, share.expand(batch)[:, None])


def mix(images: Tensor, mixing: Mixing, batch: int | None = None) -> Tensor:
    """Mix the images of one batch or several. The given images may be overwritten.

    Args:
        images: float32 [B, C, H, W], on any device.
        mixing: The draws. Several batches need one draw per image.
        batch: The size of each batch; None: the images are one batch.

    Returns:
        The mixed images, of the same shape.
    """
    if len(mixing.cut) > 1:
        partners: Tensor = images.unflatten(0, (-1, batch or len(images))).flip(1).flatten(0, 1)
        return partners.lerp_(images, _own_part(mixing, images)[:, None])
    if not mixing.cut:
        weight = mixing.blend.item()
        return _blend_pairs(images, weight) if is_large(images) else images.flip(0).lerp_(images, weight)
    top, bottom, left, right = mixing.box[:, 0].tolist()
    inside = images[:, :, top:bottom, left:right]
    if is_large(images):
        _swap_pairs(inside)
    else:
        inside.copy_(inside.flip(0))
    return images


def _swap_pairs(boxes: Tensor) -> None:
    """CutMix in place: the boxes of each pair of images change places. Needs memory for one more box only."""
    for number in range(len(boxes) // 2):
        box, partner = boxes[number], boxes[-1 - number]
        kept = box.clone()
        box.copy_(partner)
        partner.copy_(kept)


def _blend_pairs(images: Tensor, weight: float) -> Tensor:
    """Mixup in place: each image of a pair becomes the weighted sum of both. Needs memory for one more image only."""
    for number in range(len(images) // 2):
        image, partner = images[number], images[-1 - number]
        mixed = partner.lerp(image, weight)
        partner.copy_(image.lerp(partner, weight))
        image.copy_(mixed)
    return images


def _own_part(mixing: Mixing, images: Tensor) -> Tensor:
    """The weight of the image itself at each pixel: float32 [B, H, W]."""
    blend, cut, box = (to_device(part, images.device) for part in (mixing.blend, mixing.cut, mixing.box))
    top, bottom, left, right = box[:, :, None]
    rows, columns = (torch.arange(length, device=images.device) for length in images.shape[2:])
    inside = ((rows >= top) & (rows < bottom))[:, :, None] & ((columns >= left) & (columns < right))[:, None, :]
    return torch.where(cut[:, None, None], (~inside).float(), blend[:, None, None])


def mixed_targets(labels: Tensor, partners: Tensor, share: Tensor, classes: int, smoothing: float) -> Tensor:
    """The smoothed labels of mixed images: float32 [B, classes].

    Source: timm's `mixup_target`.

    Args:
        labels: The labels of the images, int64 [B].
        partners: The labels of their partners, int64 [B].
        share: The weight of the image's own label, float32 [B, 1].
        classes: Number of classes.
        smoothing: Label smoothing.
    """
    off = smoothing / classes
    rest = torch.full((len(labels), classes), off, device=labels.device)
    own, other = (rest.scatter(1, classes_[:, None], 1 - smoothing + off) for classes_ in (labels, partners))
    share = share.to(labels.device)
    mixed: Tensor = own * share + other * (1 - share)
    return mixed


def _draw_shares(recipe: Recipe, count: int, random: np.random.Generator) -> tuple[Shares, NDArray[np.bool_]]:
    """Draw the weight of the image itself, float32 [count] (1: not mixed), and whether CutMix is used, bool [count]."""
    both = recipe.mixup > 0 and recipe.cutmix > 0
    cut = random.random(count) < recipe.mixup_switch_prob if both else np.full(count, recipe.cutmix > 0)
    alpha = np.where(cut, recipe.cutmix, recipe.mixup)
    share = np.where(random.random(count) < recipe.mixup_prob, random.beta(alpha, alpha), 1.0)
    return share.astype(np.float32), cut & (share < 1)


def _draw_boxes(share: Shares, height: int, width: int, generator: torch.Generator) -> NDArray[np.int64]:
    """Draw the boxes that the partner fills. Each covers 1 - share of the image, unless the border cuts it.

    Args:
        share: The weight of the image itself, [n].
        height: Height of the images.
        width: Width of the images.
        generator: A generator on the CPU.

    Returns:
        Top, bottom, left and right of each box, [4, n].
    """
    side = np.sqrt(1 - share.astype(np.float64))
    bounds = []
    for length in (height, width):
        half = (length * side).astype(np.int64) // 2
        centre = torch.randint(0, length, (len(share),), generator=generator).numpy()
        bounds += [np.maximum(centre - half, 0), np.minimum(centre + half, length)]
    return np.stack(bounds)


def _draw_cells(share: Shares, height: int, width: int, cell: int, generator: torch.Generator) -> NDArray[np.int64]:
    """Like `_draw_boxes`, but each side is rounded to whole cells, and the box lies within the image.

    Args:
        share: The weight of the image itself, [n].
        height: Height of the images.
        width: Width of the images.
        cell: Pixels per side of a cell.
        generator: A generator on the CPU.

    Returns:
        Top, bottom, left and right of each box, [4, n].
    """
    side = np.sqrt(1 - share.astype(np.float64))
    bounds = []
    for cells in (height // cell, width // cell):
        length = np.rint(cells * side).astype(np.int64)
        place = torch.rand(len(share), dtype=torch.float64, generator=generator).numpy()
        first = (place * (cells - length + 1)).astype(np.int64)
        bounds += [cell * first, cell * (first + length)]
    return np.stack(bounds)


def _numpy(generator: torch.Generator) -> np.random.Generator:
    """A numpy generator, seeded from the torch one: torch can't draw from a Beta distribution with a generator."""
    return np.random.default_rng(int(torch.randint(2**62, (1,), generator=generator)))

"""Mixup and CutMix: each image with its partner, which stands as far from the end of the batch as it from the start."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from suite.recipe import Recipe


def mix(images: Tensor, recipe: Recipe, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Mix the images of a batch as the recipe says.

    images: float32 [B, C, H, W] on any device, B even. generator: on the CPU. Returns the mixed images, and of each
    the share of its own label, float32 [B, 1] on the CPU; the rest is its partner's.
    Source: timm 0.3 to 0.9 `Mixup`, as in the published recipes, with its correction of the share where a box is cut
    by the border. Later versions give boxes of odd sides one more row.
    """
    batch, _, height, width = images.shape
    count = {"batch": 1, "pair": batch // 2, "elem": batch}[recipe.mixup_mode]
    share, cut = _draw_shares(recipe, count, _numpy(generator))
    box = _draw_boxes(share, height, width, generator)
    corrected = torch.where(cut, 1 - box.float().mean((1, 2)), share)
    # What of each pixel is the image's own.
    weight = torch.where(cut[:, None, None], (~box).float(), share[:, None, None])
    if recipe.mixup_mode == "pair":
        weight, corrected = torch.cat([weight, weight.flip(0)]), torch.cat([corrected, corrected.flip(0)])
    mixed = torch.lerp(images.flip(0), images, weight[:, None].to(images.device, images.dtype))
    return mixed, corrected.expand(batch)[:, None]


def mixed_targets(labels: Tensor, share: Tensor, classes: int, smoothing: float) -> Tensor:
    """The smoothed labels of mixed images: float32 [B, classes]. labels: int64 [B]. share: see `mix`.

    Source: timm's `mixup_target`.
    """
    off = smoothing / classes
    own = torch.full((len(labels), classes), off, device=labels.device)
    own.scatter_(1, labels[:, None], 1 - smoothing + off)
    share = share.to(labels.device)
    return own * share + own.flip(0) * (1 - share)


def _draw_shares(recipe: Recipe, count: int, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Each image's own share, float32 [count] (1: it isn't mixed), and whether a box is cut instead of a blend."""
    both = recipe.mixup > 0 and recipe.cutmix > 0
    cut = random.random(count) < recipe.mixup_switch_prob if both else np.full(count, recipe.cutmix > 0)
    alpha = np.where(cut, recipe.cutmix, recipe.mixup)
    share = np.where(random.random(count) < recipe.mixup_prob, random.beta(alpha, alpha), 1.0)
    return torch.from_numpy(share.astype(np.float32)), torch.from_numpy(cut & (share < 1))


def _draw_boxes(share: Tensor, height: int, width: int, generator: torch.Generator) -> Tensor:
    """The boxes that the partner fills, each with 1 - share of the image unless the border cuts it: bool [n, H, W]."""
    side = (1 - share.double()).sqrt()
    masks = []
    for length in (height, width):
        half = (length * side).long() // 2
        centre = torch.randint(0, length, (len(share),), generator=generator)
        places = torch.arange(length)
        masks.append((places >= (centre - half)[:, None]) & (places < (centre + half)[:, None]))
    return masks[0][:, :, None] & masks[1][:, None, :]


def _numpy(generator: torch.Generator) -> np.random.Generator:
    """A generator for what torch's can't draw: Beta."""
    return np.random.default_rng(int(torch.randint(2**62, (1,), generator=generator)))

"""What is drawn for the images of a stretch, on the CPU: from the generator and the shapes, never from pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from suite.data.crops import Crops, draw_crops
from suite.grid.auto_augment import LearnedPolicy, RandAugment
from suite.grid.recipe import Recipe
from suite.train.augmentation.crop_and_flip import Moves, draw_moves
from suite.train.augmentation.erasing import Patch, draw_patches
from suite.train.augmentation.geometry import BICUBIC
from suite.train.augmentation.mixing import Mixing, draw_mixing
from suite.train.augmentation.operations import Layer, draw_interpolation, draw_learned, draw_rand_augment


@dataclass(frozen=True)
class Reading:
    """What changes the pixels of a stretch of N images, in this order; its layers before and after crop and flip."""

    crops: Crops | None
    before: list[Layer]
    moves: Moves | None
    after: list[Layer]

    def take(self, images: Tensor) -> Reading:
        """Of these images alone, int64 [n]."""
        return Reading(
            None if self.crops is None else self.crops.take(images),
            [layer.take(images) for layer in self.before],
            None if self.moves is None else self.moves.take(images),
            [layer.take(images) for layer in self.after],
        )

    @classmethod
    def joined(cls, parts: Sequence[Reading]) -> Reading:
        """That of several stretches, one after another."""
        if len(parts) == 1:
            return parts[0]
        crops, moves = ([getattr(part, name) for part in parts] for name in ("crops", "moves"))
        before, after = (
            [Layer.joined(layers) for layers in zip(*(getattr(part, name) for part in parts), strict=True)]
            for name in ("before", "after")
        )
        return cls(
            None if crops[0] is None else Crops.joined(crops), before,
            None if moves[0] is None else Moves.joined(moves), after,
        )  # fmt: skip


@dataclass(frozen=True)
class Finish:
    """What is done to one normalised batch."""

    mixing: Mixing | None
    patches: list[Patch]

    def take(self, images: Tensor, batch: int) -> Finish:
        """Of these images alone, int64 [n], out of a batch of so many; where they are mixed, each with its partner."""
        mixing = None if self.mixing is None else self.mixing.take(images)
        return Finish(mixing, [patch.take(images, batch) for patch in self.patches])

    @classmethod
    def joined(cls, parts: Sequence[Finish], batch: int) -> Finish:
        """That of several batches of one size, one after another."""
        mixings = [part.mixing for part in parts if part.mixing is not None]
        patches = zip(*(part.patches for part in parts), strict=True)
        return cls(Mixing.joined(mixings) if mixings else None, [Patch.joined(boxes, batch) for boxes in patches])


def draw_reading(
    recipe: Recipe,
    policy: RandAugment | LearnedPolicy | None,
    count: int,
    size: tuple[int, int],
    generator: torch.Generator,
) -> Reading:
    """Draw for `count` images of this height and width."""
    crops = None
    before: list[Layer] = []
    after: list[Layer] = []
    if recipe.crop_scale is not None:
        bicubic = draw_interpolation(recipe.interpolation, (count,), generator) == BICUBIC
        crops = draw_crops(count, recipe.crop_scale, recipe.crop_ratio, bicubic, generator)
    if isinstance(policy, LearnedPolicy):
        before = draw_learned(policy, count, size, generator)
    moves = draw_moves(count, recipe.crop_padding, recipe.flip, generator)
    if isinstance(policy, RandAugment):
        after = draw_rand_augment(policy, count, size, recipe.interpolation, generator)
    return Reading(crops, before, moves, after)


def draw_finish(recipe: Recipe, shape: tuple[int, int, int, int], mixing: bool, generator: torch.Generator) -> Finish:
    """Draw for one batch [B, C, H, W]. mixing: whether the epoch mixes images, if the recipe does."""
    mixing = mixing and recipe.mixes
    mixed = draw_mixing(shape, recipe, generator) if mixing and recipe.mixup_first else None
    patches = []
    if recipe.erase_prob > 0:
        patches = draw_patches(shape, recipe.erase_prob, recipe.erase_mode, recipe.erase_count, generator)
    if mixing and not recipe.mixup_first:
        mixed = draw_mixing(shape, recipe, generator)
    return Finish(mixed, patches)

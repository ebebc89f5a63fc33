"""Random draws for the images of a stretch (see `pipeline.Stretch`), on the CPU. They don't depend on pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from suite.data.crops import Crops, draw_crops
from suite.data.scenes import ScaledCrops, draw_scaled_crops
from suite.grid.auto_augment import LearnedPolicy, RandAugment
from suite.grid.recipe import Recipe
from suite.train.augmentation.crop_and_flip import Moves, draw_moves
from suite.train.augmentation.erasing import Patch, draw_patches
from suite.train.augmentation.geometry import BICUBIC
from suite.train.augmentation.mixing import Mixing, draw_mixing
from suite.train.augmentation.operations import Layer, draw_interpolation, draw_learned, draw_rand_augment
from suite.train.augmentation.photometric import Distortion, draw_distortion


@dataclass(frozen=True)
class Reading:
    """The random draws for a stretch of N images, up to normalisation, in the order in which they are applied.

    Args:
        crops: Random resized crops.
        before: Operations before pad-and-crop and flip.
        moves: Pad-and-crop and flip.
        after: Operations after pad-and-crop and flip.
        colours: Photometric distortion, of images with masks.
    """

    crops: Crops | ScaledCrops | None
    before: list[Layer]
    moves: Moves | None
    after: list[Layer]
    colours: Distortion | None = None

    def take(self, images: Tensor) -> Reading:
        """The draws for the images at these indices, int64 [n]."""
        return Reading(
            None if self.crops is None else self.crops.take(images),
            [layer.take(images) for layer in self.before],
            None if self.moves is None else self.moves.take(images),
            [layer.take(images) for layer in self.after],
            None if self.colours is None else self.colours.take(images),
        )

    @classmethod
    def joined(cls, parts: Sequence[Reading]) -> Reading:
        """Concatenate the draws for several stretches."""
        if len(parts) == 1:
            return parts[0]
        crops, moves, colours = ([getattr(part, name) for part in parts] for name in ("crops", "moves", "colours"))
        before, after = (
            [Layer.joined(layers) for layers in zip(*(getattr(part, name) for part in parts), strict=True)]
            for name in ("before", "after")
        )
        return cls(
            None if crops[0] is None else type(crops[0]).joined(crops), before,
            None if moves[0] is None else Moves.joined(moves), after,
            None if colours[0] is None else Distortion.joined(colours),
        )  # fmt: skip


@dataclass(frozen=True)
class Finish:
    """The random draws for one normalised batch: Mixup or CutMix, and random erasing."""

    mixing: Mixing | None
    patches: list[Patch]

    def take(self, images: Tensor, batch: int) -> Finish:
        """The draws for the images at these indices, int64 [n], of a batch of `batch` images.

        If images are mixed, the partner of each of these images must be among them.
        """
        mixing = None if self.mixing is None else self.mixing.take(images)
        return Finish(mixing, [patch.take(images, batch) for patch in self.patches])

    @classmethod
    def joined(cls, parts: Sequence[Finish], batch: int) -> Finish:
        """Concatenate the draws for several batches of `batch` images each."""
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
    """Draw all augmentation up to normalisation.

    Args:
        recipe: The recipe.
        policy: The recipe's parsed RandAugment or AutoAugment policy, if any.
        count: Number of images.
        size: Height and width of the images.
        generator: A generator on the CPU.
    """
    crops: Crops | ScaledCrops | None = None
    colours = None
    before: list[Layer] = []
    after: list[Layer] = []
    if recipe.crop_scale is not None:
        bicubic = draw_interpolation(recipe.interpolation, (count,), generator) == BICUBIC
        crops = draw_crops(count, recipe.crop_scale, recipe.crop_ratio, bicubic, generator, recipe.resizer)
    if recipe.scenes is not None:
        crops = draw_scaled_crops(count, recipe.scenes.scale, recipe.scenes.most_of_a_class, generator)
        colours = draw_distortion(count, generator) if recipe.scenes.colours else None
    if isinstance(policy, LearnedPolicy):
        before = draw_learned(policy, count, size, generator)
    moves = draw_moves(count, recipe.crop_padding, recipe.flip, generator)
    if isinstance(policy, RandAugment):
        after = draw_rand_augment(policy, count, size, recipe.interpolation, generator)
    return Reading(crops, before, moves, after, colours)


def draw_finish(recipe: Recipe, shape: tuple[int, int, int, int], mixing: bool, generator: torch.Generator) -> Finish:
    """Draw mixing and erasing for one batch.

    Args:
        recipe: The recipe.
        shape: The shape of the batch, [B, C, H, W].
        mixing: Whether images are mixed in this epoch, if the recipe mixes any.
        generator: A generator on the CPU.
    """
    mixing = mixing and recipe.mixes
    mixed = draw_mixing(shape, recipe, generator) if mixing and recipe.mixup_first else None
    patches = []
    if recipe.erase_prob > 0:
        patches = draw_patches(shape, recipe.erase_prob, recipe.erase_mode, recipe.erase_count, generator)
    if mixing and not recipe.mixup_first:
        mixed = draw_mixing(shape, recipe, generator)
    return Finish(mixed, patches)

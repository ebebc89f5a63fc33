"""What a recipe does to a batch between the data set and the model."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from suite.data.crops import draw_crops
from suite.data.images import Images
from suite.policies import LearnedPolicy, RandAugment, parse_policy
from suite.recipe import Recipe
from suite.training.augmentation.crop_and_flip import crop_and_flip
from suite.training.augmentation.erasing import erase
from suite.training.augmentation.geometry import BICUBIC
from suite.training.augmentation.mixing import mix
from suite.training.augmentation.operations import apply_layer, draw_interpolation, draw_learned, draw_rand_augment

# Images augmented at once, in whole batches, where what is done differs from one to the next: small groups cost as much
# as larger ones. With another number the same seed would give other draws.
TOGETHER = 512


class Normalise:
    """uint8 pixels to float32, less the data set's mean, over its standard deviation, per channel.

    fill: uint8 [C], the mean as a colour.
    """

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...], device: torch.device) -> None:
        mean_, std_ = (torch.tensor(values, device=device).view(1, -1, 1, 1) for values in (mean, std))
        self._scale, self._shift = 1 / (255 * std_), -mean_ / std_
        self.fill = torch.tensor([min(255, round(255 * value)) for value in mean], dtype=torch.uint8, device=device)

    def __call__(self, images: Tensor) -> Tensor:
        """[B, C, H, W] uint8 to [B, C, H, W] float32."""
        return torch.addcmul(self._shift, images.float(), self._scale)


class Augmentation:
    """The recipe's whole augmentation, in the order of the published code.

    AutoAugment's policy comes first, as in Compact Transformers' first script; RandAugment after crop and flip, as
    in timm. normalise: of the data set, on the device of the batches.
    """

    def __init__(self, recipe: Recipe, normalise: Normalise) -> None:
        self._recipe, self._normalise = recipe, normalise
        policy = parse_policy(recipe.auto_augment) if recipe.auto_augment is not None else None
        self._rand = policy if isinstance(policy, RandAugment) else None
        self._learned = policy if isinstance(policy, LearnedPolicy) else None

    def batches(
        self, images: Images, order: Tensor, device: torch.device, generator: torch.Generator
    ) -> Iterator[Tensor]:
        """The images at `order` [N], augmented, in batches of the recipe's size: uint8 [B, C, H, W] on the device."""
        size = self._recipe.batch_size
        differs = self._recipe.crop_scale is not None or self._rand is not None or self._learned is not None
        together = max(1, TOGETHER // size) if differs else 1
        for indices in order.split(together * size):
            yield from self.read(images, indices, device, generator).split(size)

    def read(self, images: Images, indices: Tensor, device: torch.device, generator: torch.Generator) -> Tensor:
        """The images at `indices` [B], augmented: uint8 [B, C, H, W] on the device. generator: on the CPU."""
        recipe = self._recipe
        if recipe.crop_scale is None:
            return self.augment(images.batch(indices).to(device), generator)
        kind = draw_interpolation(recipe.interpolation, (len(indices),), generator)
        crops = draw_crops(len(indices), recipe.crop_scale, recipe.crop_ratio, kind == BICUBIC, generator)
        return self.augment(images.cropped(indices, crops).to(device), generator)

    def augment(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """All that changes pixels, but for the random resized crop. uint8 [B, C, H, W] on the device, as returned."""
        recipe, fill = self._recipe, self._normalise.fill
        if self._learned is not None:
            for layer in draw_learned(self._learned, images, generator):
                images = apply_layer(images, layer, torch.zeros_like(fill))
        images = crop_and_flip(images, recipe.crop_padding, recipe.flip, generator)
        if self._rand is not None:
            for layer in draw_rand_augment(self._rand, images, recipe.interpolation, generator):
                images = apply_layer(images, layer, fill)
        return images

    def finish(self, images: Tensor, generator: torch.Generator, mixing: bool) -> tuple[Tensor, Tensor | None]:
        """Normalise, erase and mix. mixing: whether the epoch mixes images, if the recipe does.

        Returns the model's input, float32 [B, C, H, W], and what `mix` tells of the labels, or None.
        """
        recipe, inputs, share = self._recipe, self._normalise(images), None
        mixing = mixing and recipe.mixes
        if mixing and recipe.mixup_first:
            inputs, share = mix(inputs, recipe, generator)
        if recipe.erase_prob > 0:
            inputs = erase(inputs, recipe.erase_prob, recipe.erase_mode, recipe.erase_count, generator)
        if mixing and not recipe.mixup_first:
            inputs, share = mix(inputs, recipe, generator)
        return inputs, share

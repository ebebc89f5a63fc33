"""What a recipe does to a batch between the data set and the model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from suite.data.images import Images
from suite.data.transfer import to_device
from suite.policies import parse_policy
from suite.recipe import Recipe
from suite.training.augmentation.crop_and_flip import move
from suite.training.augmentation.draws import Finish, Reading, draw_finish, draw_reading
from suite.training.augmentation.erasing import erase
from suite.training.augmentation.layers import apply_layer
from suite.training.augmentation.mixing import mix

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
        pixels = images.float()
        return torch.addcmul(self._shift, pixels, self._scale, out=pixels)


@dataclass(frozen=True)
class Stretch:
    """Whole batches that are drawn and augmented together.

    indices: int64 [n], of the images. batches: each batch's inputs, float32 [B, C, H, W] on the device, and the share
    of an image's own label, float32 [B, 1] on the device, or None where nothing is mixed; to be iterated once. state:
    the generator's after all draws of this stretch, from which the rest of the order goes on as if never interrupted.
    """

    indices: Tensor
    batches: Iterable[tuple[Tensor, Tensor | None]]
    state: Tensor


class Augmentation:
    """The recipe's whole augmentation, in the order of the published code.

    AutoAugment's policy comes first, as in Compact Transformers' first script; RandAugment after crop and flip, as
    in timm. normalise: of the data set, on the device of the batches.
    """

    def __init__(self, recipe: Recipe, normalise: Normalise) -> None:
        self._recipe, self._normalise = recipe, normalise
        self._policy = parse_policy(recipe.auto_augment) if recipe.auto_augment is not None else None

    @property
    def stretch_size(self) -> int:
        """Images of one stretch: as many as are augmented together, in whole batches."""
        size = self._recipe.batch_size
        differs = self._recipe.crop_scale is not None or self._policy is not None
        return size * max(1, TOGETHER // size) if differs else size

    def stretches(
        self, images: Images, order: Tensor, device: torch.device, generator: torch.Generator, mixing: bool
    ) -> Iterator[Stretch]:
        """The images at `order`, int64 [N] on the CPU, in whole batches, augmented on the device.

        generator: on the CPU. mixing: whether the epoch mixes images, if the recipe does.
        """
        size = images.shape[1:]
        for indices in order.split(self.stretch_size):
            reading = draw_reading(self._recipe, self._policy, len(indices), size, generator)
            parts = indices.split(self._recipe.batch_size)
            finishes = [draw_finish(self._recipe, (len(part), *images.shape), mixing, generator) for part in parts]
            state = generator.get_state()
            yield Stretch(indices, self._batches(images, indices, reading, finishes, device), state)

    def _batches(
        self, images: Images, indices: Tensor, reading: Reading, finishes: list[Finish], device: torch.device
    ) -> Iterator[tuple[Tensor, Tensor | None]]:
        crops = reading.crops
        pixels = to_device(images.batch(indices) if crops is None else images.cropped(indices, crops), device)
        pixels = self._augment(pixels, reading)
        # One batch after another: in float32 the whole stretch would take four times as much.
        for batch, finish in zip(pixels.split(self._recipe.batch_size), finishes, strict=True):
            yield self._finish(batch, finish)

    def _augment(self, pixels: Tensor, reading: Reading) -> Tensor:
        """All that changes pixels, but for the random resized crop: uint8 [n, C, H, W] on the device."""
        fill = self._normalise.fill
        for layer in reading.before:
            pixels = apply_layer(pixels, layer, torch.zeros_like(fill))
        if reading.moves is not None:
            pixels = move(pixels, reading.moves)
        for layer in reading.after:
            pixels = apply_layer(pixels, layer, fill)
        return pixels

    def _finish(self, batch: Tensor, finish: Finish) -> tuple[Tensor, Tensor | None]:
        """Normalise, erase and mix."""
        inputs, mixing = self._normalise(batch), finish.mixing
        if mixing is not None and self._recipe.mixup_first:
            inputs = mix(inputs, mixing)
        inputs = erase(inputs, finish.patches)
        if mixing is not None and not self._recipe.mixup_first:
            inputs = mix(inputs, mixing)
        return inputs, None if mixing is None else to_device(mixing.share, inputs.device)

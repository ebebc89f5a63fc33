"""What a recipe does to a batch between the data set and the model."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from suite.data.images import Images, Pending
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
    of an image's own label, float32 [B, 1] on the device, or None where nothing is mixed; to be iterated once; inputs
    are of the part that was asked for, all else of the whole. state: the generator's after all draws of this stretch,
    from which the rest of the order goes on as if never interrupted. boxes: of each batch, the box of each image that
    is its partner's, int64 [4, B] on the CPU (top, bottom, left, right, in pixels), or None where nothing is mixed.
    """

    indices: Tensor
    batches: Iterable[tuple[Tensor, Tensor | None]]
    state: Tensor
    boxes: Sequence[Tensor | None]


@dataclass(frozen=True)
class _Started:
    """A stretch that is drawn and is being read. seen: the places of a batch that are read; part: that are wanted."""

    indices: Tensor
    reading: Reading
    finishes: list[Finish]
    state: Tensor
    pixels: Pending
    seen: Tensor
    part: Tensor | None


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
        self,
        images: Images,
        order: Tensor,
        device: torch.device,
        generator: torch.Generator,
        mixing: bool,
        part: Tensor | None = None,
    ) -> Iterator[Stretch]:
        """The images at `order`, int64 [N] on the CPU, in whole batches, augmented on the device.

        generator: on the CPU. mixing: whether the epoch mixes images, if the recipe does. part: places in a batch,
        int64, ascending: all is drawn as for whole batches, but the pixels are these images' alone (and their
        partners', where they are mixed). While a stretch is in use, the next one is drawn and its files are decoded.
        """
        ahead: deque[_Started] = deque()
        try:
            for indices in order.split(self.stretch_size):
                ahead.append(self._start(images, indices, generator, mixing, part))
                if len(ahead) > 1:
                    yield self._stretch(ahead[0], device)
                    ahead.popleft()
            yield self._stretch(ahead[0], device)
            ahead.popleft()
        finally:  # what is left here, nobody wants any more
            for started in ahead:
                started.pixels.cancel()

    def _start(
        self, images: Images, indices: Tensor, generator: torch.Generator, mixing: bool, part: Tensor | None
    ) -> _Started:
        reading = draw_reading(self._recipe, self._policy, len(indices), images.shape[1:], generator)
        parts = indices.split(self._recipe.batch_size)
        finishes = [draw_finish(self._recipe, (len(part), *images.shape), mixing, generator) for part in parts]
        state, size, read = generator.get_state(), self._recipe.batch_size, indices
        if part is not None:
            seen = torch.cat([part, size - 1 - part]).unique() if mixing and self._recipe.mixes else part
            chosen = (torch.arange(0, len(indices), size)[:, None] + seen).flatten()
            read, reading = indices[chosen], reading.take(chosen)
        else:
            seen = torch.arange(min(size, len(indices)))
        return _Started(indices, reading, finishes, state, images.start(read, reading.crops), seen, part)

    def _stretch(self, started: _Started, device: torch.device) -> Stretch:
        boxes = [None if finish.mixing is None else finish.mixing.boxes() for finish in started.finishes]
        return Stretch(started.indices, self._batches(started, device), started.state, boxes)

    def _batches(self, started: _Started, device: torch.device) -> Iterator[tuple[Tensor, Tensor | None]]:
        pixels = self._augment(to_device(started.pixels.result(), device), started.reading)
        # One batch after another: in float32 the whole stretch would take four times as much.
        size, seen, part = self._recipe.batch_size, started.seen, started.part
        for batch, finish in zip(pixels.split(len(seen)), started.finishes, strict=True):
            inputs = self._finish(batch, finish if part is None else finish.take(seen, size))
            if part is not None and len(part) < len(seen):
                inputs = inputs[to_device(torch.searchsorted(seen, part), device)]
            yield inputs, None if finish.mixing is None else to_device(finish.mixing.share, device)

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

    def _finish(self, batch: Tensor, finish: Finish) -> Tensor:
        """Normalise, erase and mix."""
        inputs, mixing = self._normalise(batch), finish.mixing
        if mixing is not None and self._recipe.mixup_first:
            inputs = mix(inputs, mixing)
        inputs = erase(inputs, finish.patches)
        if mixing is not None and not self._recipe.mixup_first:
            inputs = mix(inputs, mixing)
        return inputs

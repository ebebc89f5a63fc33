"""The augmentation pipeline: everything that a recipe does to images between the data set and the model."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

import torch
from torch import Tensor

from suite.data.buffers import Buffers
from suite.data.images import Images, Pending
from suite.data.transfer import to_device
from suite.grid.auto_augment import parse_policy
from suite.grid.recipe import Recipe
from suite.train.augmentation import large_images
from suite.train.augmentation.crop_and_flip import move
from suite.train.augmentation.draws import Finish, Reading, draw_finish, draw_reading
from suite.train.augmentation.erasing import erase
from suite.train.augmentation.layers import apply_layer
from suite.train.augmentation.mixing import Mixing, mix
from suite.train.augmentation.photometric import distort
from suite.train.augmentation.sizes import is_large

# The number of images drawn together, in whole batches, if operations differ between images: processing a small group
# of images costs as much as a larger one. Changing this number changes the draws of a seed.
TOGETHER = 512

# Bytes of pixels that a GPU augments together: about ten thousand CIFAR images. Fewer take hardly less time.
JOINED = 2**25

Batch = tuple[Tensor, Tensor | None]  # inputs and label shares: see `Stretch.batches`


class Normalise:
    """Normalises uint8 pixels to float32 by the data set's mean and standard deviation per channel.

    The attribute `fill` is the mean as a colour, uint8 [C].

    Args:
        mean: The mean per channel, for pixels from 0 to 1.
        std: The standard deviation per channel, for pixels from 0 to 1.
        device: The device of the images.
    """

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...], device: torch.device) -> None:
        mean_, std_ = (torch.tensor(values, device=device).view(1, -1, 1, 1) for values in (mean, std))
        self._buffers = Buffers()
        self._scale, self._shift = 1 / (255 * std_), -mean_ / std_
        self.fill = torch.tensor([min(255, round(255 * value)) for value in mean], dtype=torch.uint8, device=device)

    def __call__(self, images: Tensor) -> Tensor:
        """Normalise images, uint8 [B, C, H, W], to float32 [B, C, H, W]."""
        again = is_large(images) and images.is_contiguous()
        pixels = self._buffers.empty(images.shape, torch.float32).copy_(images) if again else images.float()
        return torch.addcmul(self._shift, pixels, self._scale, out=pixels)


@dataclass(frozen=True)
class Stretch:
    """Whole batches whose augmentation is drawn together.

    If only a part of each batch was requested, the inputs cover that part. All other fields cover whole batches.

    Args:
        indices: The indices of the images, int64 [n].
        batches: For each batch its inputs, float32 [B, C, H, W], and the weight of each image's own label, float32
            [B, 1] (None: not mixed), both on the device. Iterate over it only once.
        state: The generator's state after all draws of this stretch. A run that resumes here with this state gives the
            same draws as an uninterrupted run.
        boxes: For each batch the CutMix boxes that are filled from the partners, int64 [4, B] on the CPU (top, bottom,
            left, right, in pixels); None: not mixed.
    """

    indices: Tensor
    batches: Iterable[Batch]
    state: Tensor
    boxes: Sequence[Tensor | None]


@dataclass(frozen=True)
class _Part:
    """The part of each batch of `size` images that is requested, and the part that must be read for it.

    Args:
        size: Images per batch.
        wanted: Requested places in a batch, int64, ascending; None: all.
        read: Places to read, which include the mixing partners of the requested ones; None: all.
    """

    size: int
    wanted: Tensor | None
    read: Tensor | None

    @classmethod
    def of(cls, size: int, wanted: Tensor | None, mixes: bool) -> _Part:
        """Create the part for the requested places.

        Args:
            size: Images per batch.
            wanted: Requested places in a batch, int64, ascending; None: all.
            mixes: Whether images are mixed, so that each also needs its partner.
        """
        if wanted is None or not mixes:
            return cls(size, wanted, wanted)
        return cls(size, wanted, torch.cat([wanted, size - 1 - wanted]).unique())

    @property
    def count(self) -> int:
        """The number of images that are read per batch."""
        return self.size if self.read is None else len(self.read)

    def places(self, count: int) -> Tensor:
        """The places to read in a stretch of `count` images, int64."""
        if self.read is None:
            return torch.arange(count)
        return (torch.arange(0, count, self.size)[:, None] + self.read).flatten()

    def of_read(self, inputs: Tensor) -> Tensor:
        """Select the requested images from those that were read, of one batch or several: [n, …]."""
        if self.wanted is None or self.read is None or len(self.wanted) == len(self.read):
            return inputs
        chosen = to_device(torch.searchsorted(self.read, self.wanted), inputs.device)
        found: Tensor = inputs.unflatten(0, (-1, len(self.read))).index_select(1, chosen).flatten(0, 1)
        return found


@dataclass(frozen=True)
class _Drawn:
    """The draws for a stretch. `reading` and `finishes` cover the images that are read; `mixings` covers all."""

    indices: Tensor
    reading: Reading
    finishes: list[Finish]
    mixings: list[Mixing | None]
    state: Tensor


@dataclass(frozen=True)
class _Started:
    """Stretches that have been drawn, and whose images are being read. They are augmented together."""

    drawn: Sequence[_Drawn]
    reading: Reading
    pixels: Pending


class Augmentation:
    """The complete augmentation of a recipe, in the order of the published code.

    AutoAugment comes first, as in Compact Transformers' first script. RandAugment comes after crop and flip, as in
    timm.

    Args:
        recipe: The recipe.
        normalise: The data set's normalisation, on the device of the batches.
        joined: Above 0, as for a GPU: stretches are augmented together, up to this many bytes of pixels, and inputs
            have channels-last memory format. 0, as for a CPU: each stretch separately. None: chosen by the device. The
            draws and the values of the images don't depend on it.
    """

    def __init__(self, recipe: Recipe, normalise: Normalise, joined: int | None = None) -> None:
        self._recipe, self._normalise = recipe, normalise
        self._policy = parse_policy(recipe.auto_augment) if recipe.auto_augment is not None else None
        usual = JOINED if normalise.fill.device.type == "cuda" else 0
        self._joined = usual if joined is None else joined

    @property
    def stretch_size(self) -> int:
        """Images per stretch: a whole number of batches."""
        size = self._recipe.batch_size
        recipe = self._recipe
        differs = recipe.crop_scale is not None or recipe.scenes is not None or self._policy is not None
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
        """Like `streams`, for a single order and its generator. See `streams` for the arguments."""
        for (stretch,) in self.streams(images, [order], device, [generator], mixing, part):
            yield stretch

    def streams(
        self,
        images: Images,
        orders: Sequence[Tensor],
        device: torch.device,
        generators: Sequence[torch.Generator],
        mixing: bool,
        part: Tensor | None = None,
    ) -> Iterator[tuple[Stretch, ...]]:
        """Augment the images in each of the given orders, in whole batches. Yields one stretch per order at a time.

        While the caller uses some stretches, the next ones are drawn and their image files decoded.

        Args:
            images: The images.
            orders: The image indices of each order, int64 [N] on the CPU.
            device: The device to augment on.
            generators: One generator per order, on the CPU.
            mixing: Whether images are mixed in this epoch, if the recipe mixes any.
            part: Places in a batch, int64, ascending; None: all. Draws are those of whole batches. Only these images
                are augmented, and their partners if images are mixed.
        """
        some = _Part.of(self._recipe.batch_size, part, mixing and self._recipe.mixes)
        together = self._together(images, orders)
        rounds = (
            [self._draw(images, indices, draws, mixing, some) for indices, draws in zip(one, generators, strict=True)]
            for one in zip(*(order.split(self.stretch_size) for order in orders), strict=True)
        )
        count, unfinished = 1, deque[list[_Started]]()

        def start(drawn: Sequence[list[_Drawn]]) -> None:
            sets = [list(chain.from_iterable(drawn))] if together else [[one] for one in chain.from_iterable(drawn)]
            unfinished.append([self._start(images, one_set, some) for one_set in sets if one_set])

        try:
            start(list(islice(rounds, 1)))
            while unfinished[0]:
                # Sets start small and grow, and the next set is drawn in small steps: the GPU's queue of work is short,
                # and it would wait during a long draw.
                stretches, drawn = list(self._finished(unfinished[0], len(orders), device, some)), list[list[_Drawn]]()
                count = min(2 * count, max(1, together))
                for number, stretch in enumerate(stretches, 1):
                    drawn += islice(rounds, count * number // len(stretches) - len(drawn))
                    if number == len(stretches):
                        start(drawn)
                    yield stretch
                unfinished.popleft()
        finally:
            for started in chain.from_iterable(unfinished):  # the caller stopped early
                started.pixels.cancel()

    def _together(self, images: Images, orders: Sequence[Tensor]) -> int:
        """How many stretches of each order to augment together, with those of the other orders; 0: each separately."""
        bytes_ = self.stretch_size * math.prod(images.shape)
        if bytes_ > self._joined or any(len(order) % self._recipe.batch_size for order in orders):
            return 0
        return max(1, self._joined // (len(orders) * bytes_))

    def _draw(self, images: Images, indices: Tensor, generator: torch.Generator, mixing: bool, some: _Part) -> _Drawn:
        recipe = self._recipe
        reading = draw_reading(recipe, self._policy, len(indices), images.shape[1:], generator)
        batches = indices.split(recipe.batch_size)
        finishes = [draw_finish(recipe, (len(batch), *images.shape), mixing, generator) for batch in batches]
        mixings, state = [finish.mixing for finish in finishes], generator.get_state()
        if some.read is not None:
            reading = reading.take(some.places(len(indices)))
            finishes = [finish.take(some.read, recipe.batch_size) for finish in finishes]
        return _Drawn(indices, reading, finishes, mixings, state)

    def _start(self, images: Images, drawn: Sequence[_Drawn], some: _Part) -> _Started:
        reading = Reading.joined([one.reading for one in drawn])
        read = torch.cat([one.indices[some.places(len(one.indices))] for one in drawn])
        return _Started(drawn, reading, images.start(read, reading.crops))

    def _finished(
        self, sets: Sequence[_Started], orders: int, device: torch.device, some: _Part
    ) -> Iterator[tuple[Stretch, ...]]:
        """Yield the stretches of these sets, one per order at a time."""
        stretches = []
        for started in sets:
            alone = len(started.drawn) == 1
            batches = [self._one_by_one(started, device, some)] if alone else self._at_once(started, device, some)
            for one, its in zip(started.drawn, batches, strict=True):
                boxes = [None if mixing is None else mixing.boxes() for mixing in one.mixings]
                stretches.append(Stretch(one.indices, its, one.state, boxes))
        for first in range(0, len(stretches), orders):
            yield tuple(stretches[first : first + orders])

    def _one_by_one(self, started: _Started, device: torch.device, some: _Part) -> Iterator[Batch]:
        """Yield the batches of one stretch. Each is normalised separately, because float32 takes 4 times the memory."""
        (one,) = started.drawn
        pixels = self._augment(to_device(started.pixels.result(), device), started.reading)
        for batch, finish, mixing in zip(pixels.split(some.count), one.finishes, one.mixings, strict=True):
            inputs = self._laid_out(some.of_read(self._finish(batch, finish)))
            yield inputs, None if mixing is None else to_device(mixing.share, device)

    def _at_once(self, started: _Started, device: torch.device, some: _Part) -> list[list[Batch]]:
        """The batches of several stretches, augmented together: a GPU's launch time doesn't depend on their number."""
        pixels = self._augment(to_device(started.pixels.result(), device), started.reading)
        finish = Finish.joined([finish for one in started.drawn for finish in one.finishes], some.count)
        inputs = self._laid_out(some.of_read(self._finish(pixels, finish, some.count)))
        shares = self._shares([mixing for one in started.drawn for mixing in one.mixings], device)
        batches = zip(inputs.split(len(inputs) // len(shares)), shares, strict=True)
        return [list(islice(batches, len(one.finishes))) for one in started.drawn]

    def _shares(self, mixings: Sequence[Mixing | None], device: torch.device) -> Sequence[Tensor | None]:
        shares = [mixing.share for mixing in mixings if mixing is not None]
        return to_device(torch.cat(shares), device).split(self._recipe.batch_size) if shares else [None] * len(mixings)

    def _augment(self, pixels: Tensor, reading: Reading) -> Tensor:
        """Apply all operations on pixels except the random resized crop: uint8 [n, C, H, W] on the device."""
        fill = self._normalise.fill
        if large_images.suits(pixels, reading):
            large_images.augment_each(pixels, reading, fill)
        else:
            pixels = self._augment_together(pixels, reading, fill)
        if reading.colours is not None:  # the last channel is a mask
            pixels = torch.cat([distort(pixels[:, :-1], reading.colours), pixels[:, -1:]], dim=1)
        return pixels

    def _augment_together(self, pixels: Tensor, reading: Reading, fill: Tensor) -> Tensor:
        for layer in reading.before:
            pixels = apply_layer(pixels, layer, torch.zeros_like(fill))
        if reading.moves is not None:
            pixels = move(pixels, reading.moves)
        for layer in reading.after:
            pixels = apply_layer(pixels, layer, fill)
        return pixels

    def _finish(self, pixels: Tensor, finish: Finish, batch: int | None = None) -> Tensor:
        """Normalise, erase and mix one batch, or several of `batch` images each."""
        inputs, mixing = self._normalise(pixels), finish.mixing
        if mixing is not None and self._recipe.mixup_first:
            inputs = mix(inputs, mixing, batch)
        inputs = erase(inputs, finish.patches)
        if mixing is not None and not self._recipe.mixup_first:
            inputs = mix(inputs, mixing, batch)
        return inputs

    def _laid_out(self, inputs: Tensor) -> Tensor:
        """Use channels-last memory format for a GPU's convolutions. On a CPU it would change their rounding."""
        return inputs.contiguous(memory_format=torch.channels_last) if self._joined else inputs

"""What a recipe does to a batch between the data set and the model."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

import torch
from torch import Tensor

from suite.data.images import Images, Pending
from suite.data.transfer import to_device
from suite.grid.auto_augment import parse_policy
from suite.grid.recipe import Recipe
from suite.train.augmentation.crop_and_flip import move
from suite.train.augmentation.draws import Finish, Reading, draw_finish, draw_reading
from suite.train.augmentation.erasing import erase
from suite.train.augmentation.layers import apply_layer
from suite.train.augmentation.mixing import Mixing, mix

# Images augmented at once, in whole batches, where what is done differs from one to the next: small groups cost as much
# as larger ones. With another number the same seed would give other draws.
TOGETHER = 512

# Bytes of pixels that a GPU augments at once, of some ten thousand images of CIFAR. Fewer take it hardly less time.
JOINED = 2**25

Batch = tuple[Tensor, Tensor | None]  # of a stretch


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
    batches: Iterable[Batch]
    state: Tensor
    boxes: Sequence[Tensor | None]


@dataclass(frozen=True)
class _Part:
    """The places of a batch of `size` that are wanted, and those that are read for them; None: all."""

    size: int
    wanted: Tensor | None
    read: Tensor | None

    @classmethod
    def of(cls, size: int, wanted: Tensor | None, mixes: bool) -> _Part:
        """wanted: int64, ascending. mixes: whether each image needs its partner too."""
        if wanted is None or not mixes:
            return cls(size, wanted, wanted)
        return cls(size, wanted, torch.cat([wanted, size - 1 - wanted]).unique())

    @property
    def count(self) -> int:
        """Images that are read of a whole batch."""
        return self.size if self.read is None else len(self.read)

    def places(self, count: int) -> Tensor:
        """Of those that are read, in a stretch of so many images."""
        if self.read is None:
            return torch.arange(count)
        return (torch.arange(0, count, self.size)[:, None] + self.read).flatten()

    def of_read(self, inputs: Tensor) -> Tensor:
        """What is wanted of what was read of one batch or several: [n, …]."""
        if self.wanted is None or self.read is None or len(self.wanted) == len(self.read):
            return inputs
        chosen = to_device(torch.searchsorted(self.read, self.wanted), inputs.device)
        found: Tensor = inputs.unflatten(0, (-1, len(self.read))).index_select(1, chosen).flatten(0, 1)
        return found


@dataclass(frozen=True)
class _Drawn:
    """What is drawn for a stretch. reading, finishes: of what is read of it. mixings: of the whole batches."""

    indices: Tensor
    reading: Reading
    finishes: list[Finish]
    mixings: list[Mixing | None]
    state: Tensor


@dataclass(frozen=True)
class _Started:
    """Stretches that are drawn, and are being read and augmented as one."""

    drawn: Sequence[_Drawn]
    reading: Reading
    pixels: Pending


class Augmentation:
    """The recipe's whole augmentation, in the order of the published code.

    AutoAugment's policy comes first, as in Compact Transformers' first script; RandAugment after crop and flip, as
    in timm. normalise: of the data set, on the device of the batches. joined: as on a GPU, with so many bytes of pixels
    augmented as one where a stretch has fewer, and with channels last in memory; 0: as on a CPU; None: as the device
    wants it. Neither what is drawn nor what becomes of an image depends on it.
    """

    def __init__(self, recipe: Recipe, normalise: Normalise, joined: int | None = None) -> None:
        self._recipe, self._normalise = recipe, normalise
        self._policy = parse_policy(recipe.auto_augment) if recipe.auto_augment is not None else None
        usual = JOINED if normalise.fill.device.type == "cuda" else 0
        self._joined = usual if joined is None else joined

    @property
    def stretch_size(self) -> int:
        """Images of one stretch: as many as are drawn together, in whole batches."""
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
        """Those of one order: see `streams`."""
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
        """The images at each of the orders, int64 [N] on the CPU, in whole batches, augmented on the device.

        Gives a stretch of each order at a time. generators: one for each order, on the CPU. mixing: whether the epoch
        mixes images, if the recipe does. part: places in a batch, int64, ascending: all is drawn as for whole batches,
        but the pixels are these images' alone (and their partners', where they are mixed). While some stretches are in
        use, the next ones are drawn and their files are decoded.
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
                # The first sets are small, and the next one is drawn bit by bit: a GPU has little to do ahead of it.
                stretches, drawn = list(self._finished(unfinished[0], len(orders), device, some)), list[list[_Drawn]]()
                count = min(2 * count, max(1, together))
                for number, stretch in enumerate(stretches, 1):
                    drawn += islice(rounds, count * number // len(stretches) - len(drawn))
                    if number == len(stretches):
                        start(drawn)
                    yield stretch
                unfinished.popleft()
        finally:
            for started in chain.from_iterable(unfinished):  # which nobody wants any more
                started.pixels.cancel()

    def _together(self, images: Images, orders: Sequence[Tensor]) -> int:
        """How many stretches of each order to augment as one, with those of the other orders; 0: each by itself."""
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
        """The stretches of these sets, one of each order at a time."""
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
        """The batches of one stretch: in float32 the whole stretch would take four times as much."""
        (one,) = started.drawn
        pixels = self._augment(to_device(started.pixels.result(), device), started.reading)
        for batch, finish, mixing in zip(pixels.split(some.count), one.finishes, one.mixings, strict=True):
            inputs = self._laid_out(some.of_read(self._finish(batch, finish)))
            yield inputs, None if mixing is None else to_device(mixing.share, device)

    def _at_once(self, started: _Started, device: torch.device, some: _Part) -> list[list[Batch]]:
        """The batches of each stretch: to launch an operation takes a GPU as long for few images as for many."""
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
        """All that changes pixels, but for the random resized crop: uint8 [n, C, H, W] on the device."""
        fill = self._normalise.fill
        for layer in reading.before:
            pixels = apply_layer(pixels, layer, torch.zeros_like(fill))
        if reading.moves is not None:
            pixels = move(pixels, reading.moves)
        for layer in reading.after:
            pixels = apply_layer(pixels, layer, fill)
        return pixels

    def _finish(self, pixels: Tensor, finish: Finish, batch: int | None = None) -> Tensor:
        """Normalise, erase and mix one batch, or several of this size."""
        inputs, mixing = self._normalise(pixels), finish.mixing
        if mixing is not None and self._recipe.mixup_first:
            inputs = mix(inputs, mixing, batch)
        inputs = erase(inputs, finish.patches)
        if mixing is not None and not self._recipe.mixup_first:
            inputs = mix(inputs, mixing, batch)
        return inputs

    def _laid_out(self, inputs: Tensor) -> Tensor:
        """On a GPU with channels last, for its convolutions. On a CPU these would add in another order than before."""
        return inputs.contiguous(memory_format=torch.channels_last) if self._joined else inputs

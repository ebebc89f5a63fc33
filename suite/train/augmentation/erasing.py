"""Random erasing: boxes of normalised images are replaced by noise or by the mean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from suite.data.transfer import to_device

AREA = (0.02, 1 / 3)  # smallest and largest share of the image
ASPECT = (0.3, 1 / 0.3)  # smallest and largest height to width
_ATTEMPTS = 10  # then the box is left out
Whole = NDArray[np.int64]


@dataclass(frozen=True)
class Patch:
    """What n pixels of a batch show, on the CPU. image, pixel: int64 [n], the latter from 0 to H × W.

    shown: float32 [n, C].
    """

    image: Tensor
    pixel: Tensor
    shown: Tensor

    def take(self, images: Tensor, batch: int) -> Patch:
        """Of these images alone, int64 [n], out of a batch of so many; they are numbered anew."""
        number = torch.full((batch,), -1)
        number[images] = torch.arange(len(images))
        image = number[self.image]
        kept = image >= 0
        return Patch(image[kept], self.pixel[kept], self.shown[kept])

    @classmethod
    def joined(cls, parts: Sequence[Patch], batch: int) -> Patch:
        """Those of several batches of one size, one after another."""
        image = torch.cat([part.image + number * batch for number, part in enumerate(parts)])
        return cls(image, torch.cat([part.pixel for part in parts]), torch.cat([part.shown for part in parts]))


def draw_patches(
    shape: tuple[int, int, int, int],
    probability: float,
    mode: Literal["const", "rand", "pixel"],
    most: int,
    generator: torch.Generator,
) -> list[Patch]:
    """Draw from one to `most` boxes of each image that is drawn, the first boxes of all images together, and so on.

    shape: of the batch, [B, C, H, W]. mode: what a box shows: zeros, one normal draw for each channel, or one for each
    pixel and channel. Source: timm 1.0 `RandomErasing`.
    """
    batch, channels, height, width = shape
    erased = torch.rand(batch, generator=generator).numpy() < probability
    boxes = torch.randint(1, most + 1, (batch,), generator=generator).numpy()
    patches = []
    for box in range(most):
        (chosen,) = (erased & (box < boxes)).nonzero()
        bounds, found = _draw_boxes(boxes[chosen], height, width, generator)
        chosen = chosen[found]
        number, pixel = _pixels(bounds[:, found], width)
        if mode == "const":
            shown = torch.zeros(len(number), channels)
        elif mode == "rand":
            shown = torch.randn(len(chosen), channels, generator=generator)[torch.from_numpy(number)]
        else:
            shown = torch.randn(len(number), channels, generator=generator)
        patches.append(Patch(torch.from_numpy(chosen[number]), torch.from_numpy(pixel), shown))
    return patches


def erase(images: Tensor, patches: list[Patch]) -> Tensor:
    """Let the patches show in float32 [B, C, H, W], normalised, on any device: in place. Returns the images."""
    width = images.shape[3]
    pixels = images.permute(0, 2, 3, 1)
    for patch in patches:
        image, pixel, shown = (to_device(part, images.device) for part in (patch.image, patch.pixel, patch.shown))
        pixels[image, pixel // width, pixel % width] = shown
    return images


# numpy, here and where else little is drawn at a time: of small arrays its operations take a third of torch's time.
def _draw_boxes(count: Whole, height: int, width: int, generator: torch.Generator) -> tuple[Whole, NDArray[np.bool_]]:
    """A box for each of n images that get `count` [n]: top, left, height and width [4, n], and whether one fits [n]."""
    share, stretch = torch.rand(2, len(count), _ATTEMPTS, generator=generator, dtype=torch.float64).numpy()
    place = torch.rand(2, len(count), generator=generator, dtype=torch.float64).numpy()
    area = (AREA[0] + (AREA[1] - AREA[0]) * share) * height * width / count[:, None]
    low, high = (math.log(bound) for bound in ASPECT)
    aspect = np.exp(low + (high - low) * stretch)
    tall, wide = np.rint(np.sqrt(area * aspect)), np.rint(np.sqrt(area / aspect))
    fits = (tall < height) & (wide < width)
    first = np.arange(len(count)), fits.argmax(1)
    tall, wide = tall[first].astype(np.int64), wide[first].astype(np.int64)
    top = (place[0] * (height - tall + 1)).astype(np.int64)
    left = (place[1] * (width - wide + 1)).astype(np.int64)
    return np.stack([top, left, tall, wide]), fits.any(1)


def _pixels(boxes: Whole, width: int) -> tuple[Whole, Whole]:
    """Of each pixel of boxes [4, n], row by row, the number of its box, and its place in an image of this width."""
    top, left, tall, wide = boxes
    size = tall * wide
    number = np.repeat(np.arange(len(size)), size)
    within = np.arange(len(number)) - (size.cumsum() - size)[number]
    row, column = np.divmod(within, wide[number])
    return number, (top[number] + row) * width + left[number] + column

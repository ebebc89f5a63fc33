"""Random erasing: boxes in normalised images are replaced by noise or by zeros, which are the data set's mean."""

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

AREA = (0.02, 1 / 3)  # smallest and largest area of a box, as a fraction of the image
ASPECT = (0.3, 1 / 0.3)  # smallest and largest ratio of height to width
_ATTEMPTS = 10  # draws until a box fits; after that the box is skipped
Whole = NDArray[np.int64]


@dataclass(frozen=True)
class Patch:
    """New values for n pixels of a batch, on the CPU.

    Args:
        image: The index of each pixel's image in the batch, int64 [n].
        pixel: The index of each pixel in its flattened image, int64 [n], from 0 to H × W − 1.
        shown: The new values, float32 [n, C].
    """

    image: Tensor
    pixel: Tensor
    shown: Tensor

    def take(self, images: Tensor, batch: int) -> Patch:
        """The pixels of the images at these indices, int64 [n], of a batch of `batch` images.

        The images are renumbered from 0, in the order of the indices.
        """
        number = torch.full((batch,), -1)
        number[images] = torch.arange(len(images))
        image = number[self.image]
        kept = image >= 0
        return Patch(image[kept], self.pixel[kept], self.shown[kept])

    @classmethod
    def joined(cls, parts: Sequence[Patch], batch: int) -> Patch:
        """Concatenate the pixels of several batches of `batch` images each."""
        image = torch.cat([part.image + number * batch for number, part in enumerate(parts)])
        return cls(image, torch.cat([part.pixel for part in parts]), torch.cat([part.shown for part in parts]))


def draw_patches(
    shape: tuple[int, int, int, int],
    probability: float,
    mode: Literal["const", "rand", "pixel"],
    most: int,
    generator: torch.Generator,
) -> list[Patch]:
    """Draw the boxes to erase. The first boxes of all images are drawn together, then the second boxes, and so on.

    Source: timm 1.0 `RandomErasing`.

    Args:
        shape: The shape of the batch, [B, C, H, W].
        probability: The probability that an image is erased at all.
        mode: The values of a box: zeros ("const"), one normal draw per channel ("rand"), or one per pixel and channel
            ("pixel").
        most: The largest number of boxes per erased image; the smallest is 1.
        generator: A generator on the CPU.
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
    """Write the patches into normalised images, float32 [B, C, H, W], on any device, in place. Returns the images."""
    width = images.shape[3]
    pixels = images.permute(0, 2, 3, 1)
    for patch in patches:
        image, pixel, shown = (to_device(part, images.device) for part in (patch.image, patch.pixel, patch.shown))
        pixels[image, pixel // width, pixel % width] = shown
    return images


# numpy is used here and elsewhere for small arrays, because its operations on them take a third of torch's time.
def _draw_boxes(count: Whole, height: int, width: int, generator: torch.Generator) -> tuple[Whole, NDArray[np.bool_]]:
    """Draw one box for each of n images.

    Args:
        count: How many boxes each image gets in total, [n].
        height: Height of the images.
        width: Width of the images.
        generator: A generator on the CPU.

    Returns:
        Top, left, height and width of each box, [4, n], and whether a box that fits was found, [n].
    """
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
    """List the pixels of boxes [4, n], row by row: each one's box, and its index in a flattened image of this width."""
    top, left, tall, wide = boxes
    size = tall * wide
    number = np.repeat(np.arange(len(size)), size)
    within = np.arange(len(number)) - (size.cumsum() - size)[number]
    row, column = np.divmod(within, wide[number])
    return number, (top[number] + row) * width + left[number] + column

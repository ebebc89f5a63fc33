"""Random erasing: boxes of normalised images are replaced by noise or by the mean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from suite.data.transfer import to_device

AREA = (0.02, 1 / 3)  # smallest and largest share of the image
ASPECT = (0.3, 1 / 0.3)  # smallest and largest height to width
_ATTEMPTS = 10  # then the box is left out


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
    erased = torch.rand(batch, generator=generator) < probability
    boxes = torch.randint(1, most + 1, (batch,), generator=generator)
    patches = []
    for box in range(most):
        chosen = (erased & (box < boxes)).nonzero().flatten()
        mask, found = _draw_boxes(boxes[chosen], height, width, generator)
        chosen, mask = chosen[found], mask[found]
        image, pixel = mask.flatten(1).nonzero().unbind(1)
        if mode == "const":
            shown = torch.zeros(len(image), channels)
        elif mode == "rand":
            shown = torch.randn(len(chosen), channels, generator=generator)[image]
        else:
            shown = torch.randn(len(image), channels, generator=generator)
        patches.append(Patch(chosen[image], pixel, shown))
    return patches


def erase(images: Tensor, patches: list[Patch]) -> Tensor:
    """Let the patches show in float32 [B, C, H, W], normalised, on any device: in place. Returns the images."""
    width = images.shape[3]
    pixels = images.permute(0, 2, 3, 1)
    for patch in patches:
        image, pixel, shown = (to_device(part, images.device) for part in (patch.image, patch.pixel, patch.shown))
        pixels[image, pixel // width, pixel % width] = shown
    return images


def _draw_boxes(count: Tensor, height: int, width: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A box for each of n images that get `count` [n]: a mask [n, H, W], and whether one was found that fits."""
    share, stretch = torch.rand(2, len(count), _ATTEMPTS, generator=generator, dtype=torch.float64)
    place = torch.rand(2, len(count), generator=generator, dtype=torch.float64)
    area = (AREA[0] + (AREA[1] - AREA[0]) * share) * height * width / count[:, None]
    low, high = (math.log(bound) for bound in ASPECT)
    aspect = (low + (high - low) * stretch).exp()
    tall, wide = (area * aspect).sqrt().round(), (area / aspect).sqrt().round()
    fits = (tall < height) & (wide < width)
    first = fits.long().argmax(1, keepdim=True)
    tall, wide = tall.gather(1, first).long(), wide.gather(1, first).long()
    top = (place[0][:, None] * (height - tall + 1)).long()
    left = (place[1][:, None] * (width - wide + 1)).long()
    rows, columns = torch.arange(height), torch.arange(width)
    down = (rows >= top) & (rows < top + tall)
    across = (columns >= left) & (columns < left + wide)
    return down[:, :, None] & across[:, None, :], fits.any(1)

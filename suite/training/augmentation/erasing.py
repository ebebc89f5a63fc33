"""Random erasing: boxes of normalised images are replaced by noise or by the mean."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

AREA = (0.02, 1 / 3)  # smallest and largest share of the image
ASPECT = (0.3, 1 / 0.3)  # smallest and largest height to width
_ATTEMPTS = 10  # then the box is left out


def erase(
    images: Tensor,
    probability: float,
    mode: Literal["const", "rand", "pixel"],
    most: int,
    generator: torch.Generator,
) -> Tensor:
    """Erase from one to `most` boxes of each image that is drawn, in place.

    images: float32 [B, C, H, W] on any device, normalised. mode: what a box shows: zeros, one normal draw for each
    channel, or one for each pixel and channel. generator: on the CPU. Returns the images.
    Source: timm 1.0 `RandomErasing`.
    """
    batch, channels, height, width = images.shape
    erased = torch.rand(batch, generator=generator) < probability
    boxes = torch.randint(1, most + 1, (batch,), generator=generator)
    pixels = images.permute(0, 2, 3, 1)
    for box in range(most):
        chosen = (erased & (box < boxes)).nonzero().flatten()
        mask, found = _draw_boxes(boxes[chosen], height, width, generator)
        chosen, mask = chosen[found], mask[found]
        image, row, column = mask.nonzero().unbind(1)
        if mode == "const":
            shown = torch.zeros(1, channels)
        elif mode == "rand":
            shown = torch.randn(len(chosen), channels, generator=generator)[image]
        else:
            shown = torch.randn(len(image), channels, generator=generator)
        where = tuple(index.to(images.device) for index in (chosen[image], row, column))
        pixels[where] = shown.to(images.device, images.dtype)
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

"""The order in which an epoch takes the images."""

from __future__ import annotations

import torch
from torch import Tensor


def epoch_order(images: int, repeats: int, generator: torch.Generator) -> Tensor:
    """Draw the order of an epoch: int64 [images], indices from 0 to `images` - 1.

    With repeated augmentation, each index comes `repeats` times in a row. The epoch keeps its length, so with three
    repeats it takes a third of the images.
    """
    return torch.randperm(images, generator=generator).repeat_interleave(repeats)[:images]

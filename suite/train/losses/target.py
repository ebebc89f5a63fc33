"""The training targets of a batch."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Target(NamedTuple):
    """The training targets of a batch.

    Args:
        labels: The labels of the images, int64 [B]; of a segmentation, those of the pixels, int64 [B, H, W].
        partners: The labels of their mixing partners, int64 [B]; None: images are not mixed.
        share: The weight of the image's own label, float32 [B, 1]; None: images are not mixed.
        own: Whether each patch is from the image itself, not from its partner, bool [B, patches]. Only for a loss that
            classifies patches.
        kept: Dropout factors for that classifier's input, float32 [B, 2, width]; None: no dropout.
    """

    labels: Tensor
    partners: Tensor | None = None
    share: Tensor | None = None
    own: Tensor | None = None
    kept: Tensor | None = None

    @classmethod
    def of(cls, labels: Tensor, share: Tensor | None, own: Tensor | None = None, kept: Tensor | None = None) -> Target:
        """Create a target. The partners are the images of the reversed batch.

        For several models, each argument has a leading dimension: [models, …].

        Args:
            labels: The labels of the images, int64 [B].
            share: The weight of the image's own label, float32 [B, 1]; None: images are not mixed.
            own: See `Target`.
            kept: See `Target`.
        """
        return cls(labels, None if share is None else labels.flip(-1), share, own, kept)

    def take(self, part: slice | int | Tensor) -> Target:
        """The targets of some images (a slice, or indices, int64 [n]), or of one of several models (an int)."""
        return Target(self.labels[part], *(None if value is None else value[part] for value in self[1:]))


def own_patches(boxes: Tensor | None, batch: int, image_size: int, side: int) -> Tensor:
    """Which patches are from the image itself, not from its CutMix partner: bool [B, side²].

    Args:
        boxes: The boxes filled from the partners, int64 [4, B], in pixels (top, bottom, left, right). They must cover
            whole patches. None: images are not mixed.
        batch: B, the number of images.
        image_size: Pixels per side of an image.
        side: Patches per side of an image.
    """
    if boxes is None:
        return torch.ones(batch, side * side, dtype=torch.bool)
    top, bottom, left, right = boxes[:, :, None]
    at = torch.arange(side) * (image_size // side)
    rows, columns = (at >= top) & (at < bottom), (at >= left) & (at < right)
    others: Tensor = rows[:, :, None] & columns[:, None, :]
    return ~others.flatten(1)

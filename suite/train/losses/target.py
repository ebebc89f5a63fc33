"""What a batch's images show."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Target(NamedTuple):
    """What the images of a batch show.

    labels: int64 [B]. Of mixed images also: partners, the labels of the images that they are mixed with, int64 [B],
    and share, of their own label, float32 [B, 1]. For a loss that classifies patches: own, whether each patch shows the
    image's own label, bool [B, patches]; and kept, what its dropout leaves, a factor, float32 [B, 2, width].
    """

    labels: Tensor
    partners: Tensor | None = None
    share: Tensor | None = None
    own: Tensor | None = None
    kept: Tensor | None = None

    @classmethod
    def of(cls, labels: Tensor, share: Tensor | None, own: Tensor | None = None, kept: Tensor | None = None) -> Target:
        """share: of each mixed image's own label, as `mix` gives it, or None. Of several models: [models, …] each."""
        return cls(labels, None if share is None else labels.flip(-1), share, own, kept)

    def take(self, part: slice | int | Tensor) -> Target:
        """Of these images alone, int64 [n] or a slice; or of one of several models."""
        return Target(self.labels[part], *(None if value is None else value[part] for value in self[1:]))


def own_patches(boxes: Tensor | None, batch: int, image_size: int, side: int) -> Tensor:
    """Which patches of a batch are the image's own, where boxes hold whole patches: bool [B, side²].

    boxes: int64 [4, B] of the images' partners, in pixels (top, bottom, left, right), or None: nothing is mixed.
    """
    if boxes is None:
        return torch.ones(batch, side * side, dtype=torch.bool)
    top, bottom, left, right = boxes[:, :, None]
    at = torch.arange(side) * (image_size // side)
    rows, columns = (at >= top) & (at < bottom), (at >= left) & (at < right)
    others: Tensor = rows[:, :, None] & columns[:, None, :]
    return ~others.flatten(1)

"""Holding out images of a data set: a random part of each class, and a view of it."""

from __future__ import annotations

import torch
from torch import Tensor

from suite.data.images import Images


class Part:
    """Some images of a split, with what an evaluation needs of `Images`.

    Args:
        images: the split.
        indices: int64 [N], on the CPU: the images of the split that are in the part, in the order of the part.
    """

    def __init__(self, images: Images, indices: Tensor) -> None:
        self._images, self._indices = images, indices
        self.labels = images.labels[indices.to(images.labels.device)]

    def __len__(self) -> int:
        return len(self._indices)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of each image."""
        return self._images.shape

    def batch(self, indices: Tensor, crop_ratio: float = 1.0) -> Tensor:
        """See `Images.batch`. indices: int64 [B], of images of the part."""
        return self._images.batch(self._indices[indices], crop_ratio)


def hold_out(labels: Tensor, subset: Tensor, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Split a subset of images at random. Each class gives as large a share of its images as the others, if it can.

    Args:
        labels: int64, on the CPU: the labels of all images.
        subset: int64 [N], ascending: the images to split.
        count: how many are held out.
        seed: of the draw.

    Returns:
        The images that are kept, int64 [N - count], and those that are held out, int64 [count]; both ascending.
    """
    order = torch.randperm(len(subset), generator=torch.Generator().manual_seed(seed))
    of_each = labels[subset[order]]
    share = torch.empty(len(subset), dtype=torch.float64)
    for label in torch.unique(of_each):
        members = (of_each == label).nonzero().flatten()
        share[members] = (torch.arange(len(members), dtype=torch.float64) + 0.5) / len(members)
    chosen = order[share.argsort(stable=True)[:count]]
    held = torch.zeros(len(subset), dtype=torch.bool)
    held[chosen] = True
    return subset[~held], subset[held]

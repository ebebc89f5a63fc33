"""Crops of regions: the box around each region, cut out of the image and resized to the input of a backbone.

ACSeg (arXiv 2210.05944) and deep spectral methods describe a region by a frozen backbone's feature of its crop.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import interpolate, one_hot

from suite.models.regions.partition import Partition


class Boxes(NamedTuple):
    """The boxes around regions: those of the first image, by the regions' numbers, then those of the second, and so on.

    Attributes:
        images: the number of each region's image, [regions].
        edges: top, left, bottom and right, as fractions of the image's height and width, [regions, 4].
    """

    images: Tensor
    edges: Tensor


def region_boxes(partition: Partition) -> Boxes:
    """Find the smallest box around the patches of each region. The patches are a square grid, row by row.

    Raises:
        ValueError: the number of patches isn't a square.
    """
    images, patches = partition.labels.shape
    side = math.isqrt(patches)
    if side**2 != patches:
        raise ValueError(f"{patches} patches are no square grid")
    members = one_hot(partition.labels).bool().unflatten(1, (side, side))  # [images, rows, columns, most regions]
    rows, columns = members.any(dim=2).mT, members.any(dim=1).mT  # [images, most regions, side]
    edges = torch.stack([_first(rows), _first(columns), side - _first(rows.flip(2)), side - _first(columns.flip(2))], 2)
    numbers = torch.arange(images, device=edges.device).repeat_interleave(partition.counts)
    return Boxes(numbers, edges[rows.any(dim=2)] / side)


def _first(present: Tensor) -> Tensor:
    """The index of the first True along the last dimension; 0 if there is none."""
    return present.byte().argmax(dim=-1)


def crop_and_resize(images: Tensor, boxes: Boxes, size: int) -> Tensor:
    """Cut each box out of its image, and resize it bicubically to a square; its proportions change.

    A box is widened to whole pixels. What is in the box but not in the region is kept.

    Args:
        images: [images, channels, height, width].
        boxes: of the regions.
        size: pixels on each side of the result.

    Returns:
        [regions, channels, size, size].
    """
    height, width = images.shape[2:]
    extent = boxes.edges.new_tensor([height, width, height, width], dtype=torch.float64)
    pixels = (boxes.edges.double() * extent).round(decimals=6)  # a rounding error adds no row of pixels
    pixels = torch.cat([pixels[:, :2].floor(), pixels[:, 2:].ceil()], dim=1).long()
    crops = [
        interpolate(images[image, None, :, top:bottom, left:right], (size, size), mode="bicubic", antialias=True)
        for image, (top, left, bottom, right) in zip(boxes.images.tolist(), pixels.tolist(), strict=True)
    ]
    return torch.cat(crops)

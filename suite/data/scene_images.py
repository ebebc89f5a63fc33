"""Images with masks that are larger than the model's input, in memory: crops for training, whole for tests."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from suite.data.crops import Crops
from suite.data.images import Later, MaskedImages, Name, Pending
from suite.data.scenes import ScaledCrops
from suite.data.segmentation.settings import PADDING


class SceneImages(MaskedImages):
    """Images of different sizes, each in the upper left corner of a rectangle of one size.

    The last channel is a mask: 0 where a pixel is ignored, `PADDING` outside of the image, otherwise the class plus 1.

    Args:
        pixels: uint8 [N, H, W, C + 1].
        labels: int64 [N].
        name: identifies the images, so that they are copied to a device only once.
        side: pixels on each side of a crop.
        sizes: rows and columns of each image, int64 [N, 2] on the CPU; None to find them in the masks.
    """

    def __init__(
        self, pixels: Tensor, labels: Tensor, name: Name | None, side: int, sizes: Tensor | None = None
    ) -> None:
        super().__init__(pixels, labels, name)
        self.side = side
        self.sizes = image_sizes(pixels[..., -1]) if sizes is None else sizes

    def scaled(self, indices: Tensor, crops: ScaledCrops) -> Tensor:
        """Random crops of the scaled images at `indices` [B], with their masks: uint8 [B, C + 1, side, side]."""
        return crops.of(self._chosen(indices), self.sizes[indices.cpu()], self.side)

    def start(self, indices: Tensor, crops: Crops | ScaledCrops | None) -> Pending:
        """The images are in memory, so they are only computed when `result` is called."""
        if isinstance(crops, ScaledCrops):
            return Later(partial(self.scaled, indices, crops))
        return super().start(indices, crops)

    def _copied(self, device: torch.device) -> SceneImages:
        return SceneImages(self.pixels.to(device), self.labels.to(device), self.name, self.side, self.sizes)


def image_sizes(masks: Tensor) -> Tensor:
    """The rows and columns of each image in its rectangle, int64 [N, 2] on the CPU. masks: stored values, [N, H, W]."""
    edges = (masks[:, :, 0], masks[:, 0])
    return torch.stack([(edge != PADDING).sum(1) for edge in edges], dim=1).cpu()

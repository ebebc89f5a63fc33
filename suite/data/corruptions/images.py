"""Corrupted copies of the test images, as images on which a model is evaluated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from suite.data.arrays import Pixels
from suite.data.corruptions.settings import Corruptions
from suite.data.corruptions.stored import CopiesOf
from suite.data.datasets import Dataset
from suite.data.images import ArrayImages, Evaluated, Images, load_images
from suite.data.subsets import balanced_subset


class CorruptedImages(ArrayImages):
    """The copies of one kind and severity. They were resized and cropped before they were corrupted."""

    def batch(self, indices: Tensor, crop_ratio: float = 1.0) -> Tensor:
        """The images at `indices` [B], in that order: uint8 [B, C, H, W]. `crop_ratio` has no effect."""
        return super().batch(indices)


class CorruptedTest:
    """All corrupted copies that a recipe asks for.

    Args:
        copies: where they are stored. They must have been made.
        labels: int64 [N], the labels of the images that have copies.
    """

    def __init__(self, copies: CopiesOf, labels: Tensor) -> None:
        self.copies, self.labels = copies, labels

    def sets(self, device: torch.device) -> Iterator[tuple[str, int, Evaluated]]:
        """Kind, severity and images of each set, one at a time on the device.

        Raises:
            InputError: a file is damaged.
        """
        for kind, severity in self.copies.settings.sets:
            pixels = torch.from_numpy(self.copies.open(kind, severity))
            yield kind, severity, CorruptedImages(pixels.to(device), self.labels.to(device))


def load_corrupted(
    dataset: Dataset, corruptions: Corruptions, crop_ratio: float, root: Path, test: Images | None = None
) -> CorruptedTest:
    """Open the corrupted copies, and make those that are missing.

    Args:
        dataset: the data set.
        corruptions: which copies.
        crop_ratio: as `recipe.test_crop_ratio` has it.
        root: the cache of prepared data sets.
        test: the test images; None: they are read.

    Raises:
        InputError: the package that makes copies is missing, the disk is full, a file is damaged, or there are fewer
            test images than the settings ask for.
    """
    test = load_images(dataset, "test", root) if test is None else test
    labels = test.labels.cpu()
    count = corruptions.images
    chosen = torch.arange(len(labels)) if count is None else balanced_subset(labels, count, key="corruptions.images")
    copies = CopiesOf(dataset, corruptions, crop_ratio, root)

    def read(places: Sequence[int]) -> Pixels:
        pixels: Pixels = test.batch(torch.tensor(places), crop_ratio).cpu().permute(0, 2, 3, 1).numpy()
        return pixels

    copies.make(read, chosen.tolist())
    for kind, severity in corruptions.sets:  # a damaged file is found now, and not after the training
        copies.open(kind, severity)
    return CorruptedTest(copies, labels[chosen])

"""The workload of a throughput measurement: a model, a recipe and images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from suite.data.datasets import Dataset
from suite.data.images import ArrayImages, Images, load_images
from suite.grid.recipe import Recipe
from suite.models.model_cell import ModelCell

LEARNING_RATE = 1e-5  # small, so that the weights keep their usual range over any number of steps
MADE_UP = 2048  # number of synthetic images


@dataclass(frozen=True)
class Workload:
    """A model, a recipe and images.

    Args:
        cell: the model.
        recipe: the training recipe.
        dataset: the data set that the images have the sizes of.
        root: the folder of the prepared data sets; None: synthetic images are used.
        device: where the model is trained.
    """

    cell: ModelCell
    recipe: Recipe
    dataset: Dataset
    root: Path | None
    device: torch.device

    def pictures(self) -> Images:
        """Return the training images. Synthetic ones have the size of the data set's images.

        Raises:
            InputError: the data set is not prepared, or damaged.
        """
        if self.root is not None:
            return load_images(self.dataset, "train", self.root)
        return made_up(self.dataset, min(MADE_UP, self.dataset.train_images))


def made_up(dataset: Dataset, count: int) -> ArrayImages:
    """Return `count` synthetic images of gradients and noise. Augmentation costs hardly depend on the content."""
    random = np.random.default_rng(0)
    size, channels = dataset.image_size, dataset.channels
    pixels = random.integers(0, 56, (count, size, size, channels), dtype=np.uint8)
    steepness = random.integers(0, 200, (count, 1, 1, channels))
    pixels += (np.linspace(0, 1, size)[:, None, None] * steepness).astype(np.uint8)
    labels = random.integers(0, dataset.num_classes, count)
    return ArrayImages(torch.from_numpy(pixels), torch.from_numpy(labels))

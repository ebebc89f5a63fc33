"""What a model is trained and tested for: one class per image, one class per pixel, or regions without classes.

A task says what of a batch a model gets, what its labels are, and which evidence a test keeps of each image.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from suite.data.datasets import TOKEN_MEAN, TOKEN_STD, Dataset
from suite.data.scene_images import image_sizes
from suite.data.segmentation.settings import PADDING
from suite.grid.recipe import Recipe
from suite.models.regions.measures import agreement
from suite.models.regions.modularity import modularity
from suite.models.regions.partition import partition
from suite.store.record import pack_bits
from suite.store.regions import COVERING, MEASURES, means, pack_measures
from suite.store.segmentation import COUNTS, class_ious, mean_iou, pack_pixel_counts, pixel_accuracy
from suite.train.augmentation.pipeline import Normalise
from suite.train.losses.of_pixels import IGNORED, pixel_cross_entropy
from suite.train.windows import slide_each

if TYPE_CHECKING:
    from suite.models.regions.grouping import Grouped  # it loads scikit-learn

MOST_LOGITS = 2**26  # of a test batch: 268 MB in single precision
Evidence = npt.NDArray[Any]  # what a test keeps of each image, [N, …]


class Task(Protocol):
    """The parts of training and testing that depend on the task."""

    def normalise(self, dataset: Dataset, device: torch.device) -> Normalise:
        """The normalisation of stored pixels, float32 [B, stored channels, H, W]."""

    def split(self, batch: Tensor) -> tuple[Tensor, Tensor | None]:
        """Split a normalised batch into the model's input and labels of pixels (None: a label per image)."""

    def predict(self, model: Callable[[Tensor], Any], batch: Tensor) -> Any:
        """The model's output for a normalised test batch, as `judge` takes it."""

    def sample(self, batch: Tensor) -> Tensor:
        """A model's input of a normalised batch of stored images."""

    def most_tested(self, shape: Sequence[int]) -> int:
        """The largest number of images per test batch, for memory. shape: of a stored image, [C, H, W]."""

    def evidence(self, count: int, device: torch.device) -> Tensor:
        """Evidence of `count` images, all zero, for `judge` to fill."""

    def judge(self, output: Any, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The evidence of each image of a test batch, and the sum of the images' losses, float64.

        Args:
            output: the model's output, float32.
            labels: the labels of images or of pixels.
        """

    def top1(self, evidence: Evidence) -> float:
        """The accuracy of these images, in percent."""

    def fields(self, evidence: Evidence) -> dict[str, Any]:
        """What a record keeps of the last test."""


class _WholeImages:
    """What tasks share whose model sees a whole image at once."""

    def split(self, batch: Tensor) -> tuple[Tensor, Tensor | None]:
        """See `Task.split`."""
        raise NotImplementedError

    def predict(self, model: Callable[[Tensor], Any], batch: Tensor) -> Any:
        """The model's output for the whole images."""
        return model(self.split(batch)[0])

    def sample(self, batch: Tensor) -> Tensor:
        """The whole images."""
        return self.split(batch)[0]


class Classification(_WholeImages):
    """One class per image. The evidence is a bit per image: whether the answer is correct."""

    def normalise(self, dataset: Dataset, device: torch.device) -> Normalise:
        """See `Task.normalise`."""
        return Normalise(dataset.mean, dataset.std, device)

    def split(self, batch: Tensor) -> tuple[Tensor, Tensor | None]:
        """The whole batch is the model's input."""
        return batch, None

    def most_tested(self, shape: Sequence[int]) -> int:
        """No limit: logits of whole images are few."""
        return sys.maxsize

    def evidence(self, count: int, device: torch.device) -> Tensor:
        """uint8 [count]."""
        return torch.zeros(count, dtype=torch.uint8, device=device)

    def judge(self, output: Any, labels: Tensor) -> tuple[Tensor, Tensor]:
        """output: logits [B, classes]; labels: int64 [B]. See `Task.judge`."""
        return (output.argmax(1) == labels).byte(), cross_entropy(output, labels, reduction="sum").double()

    def top1(self, evidence: Evidence) -> float:
        """The share of correct images, in percent."""
        return 100.0 * int(evidence.sum()) / len(evidence)

    def fields(self, evidence: Evidence) -> dict[str, Any]:
        """The number of images, and a bit for each."""
        return {"test_images": len(evidence), "correct": pack_bits(evidence.astype(bool))}


class SemanticSegmentation(_WholeImages):
    """One class per pixel. The evidence is three pixel counts per image and class: see `suite.store.segmentation`.

    The last channel of a stored image is its mask: 0 where a pixel is ignored, otherwise the class plus 1.
    """

    def __init__(self, classes: int) -> None:
        self._classes = classes

    def normalise(self, dataset: Dataset, device: torch.device) -> Normalise:
        """The mask's values stay as they are."""
        return Normalise((*dataset.mean, *TOKEN_MEAN), (*dataset.std, *TOKEN_STD), device)

    def split(self, batch: Tensor) -> tuple[Tensor, Tensor | None]:
        """The last channel is the mask."""
        return batch[:, :-1].contiguous(), batch[:, -1].round().long() - 1  # 0 becomes `IGNORED`

    def most_tested(self, shape: Sequence[int]) -> int:
        """So many that a batch has at most `MOST_LOGITS`, but at least one."""
        return max(1, MOST_LOGITS // (self._classes * shape[1] * shape[2]))

    def evidence(self, count: int, device: torch.device) -> Tensor:
        """int64 [count, 3, classes]."""
        return torch.zeros(count, COUNTS, self._classes, dtype=torch.int64, device=device)

    def judge(self, output: Any, labels: Tensor) -> tuple[Tensor, Tensor]:
        """output: logits [B, classes, H, W]; labels: int64 [B, H, W]. See `Task.judge`."""
        # The same classes as argmax(1), which takes some four times as long on a CPU.
        predicted, known = output.max(1).indices, labels != IGNORED
        total = len(labels) * self._classes
        first = torch.arange(0, total, self._classes, device=labels.device)[:, None, None]

        def count(classes: Tensor, where: Tensor) -> Tensor:
            places = torch.where(where, first + classes, total)  # the last bin is of all other pixels
            return torch.bincount(places.view(-1), minlength=total + 1)[:total].view(-1, self._classes)

        right = count(predicted, known & (predicted == labels))
        found = torch.stack([right, count(labels, known), count(predicted, known)], dim=1)
        return found, (pixel_cross_entropy(output, labels) * len(labels)).double()

    def top1(self, evidence: Evidence) -> float:
        """The share of correct pixels among the labelled ones, in percent."""
        return pixel_accuracy(evidence)

    def fields(self, evidence: Evidence) -> dict[str, Any]:
        """The number of images, the intersections over union, and the pixel counts of each image."""
        ious = class_ious(evidence)
        return {
            "test_images": len(evidence),
            "miou": mean_iou(ious),
            "class_iou": ious,
            "pixel_counts": pack_pixel_counts(evidence),
        }


class RegionGrouping(_WholeImages):
    """Regions without classes. The evidence: how well an image's agree with people's; see `suite.store.regions`.

    The channels of a stored image after those of the photograph are annotations: the number of a pixel's region, from
    1, or 0 everywhere if the image has no such annotation. Training doesn't use them.
    """

    def __init__(self, channels: int, annotators: int) -> None:
        self._channels, self._annotators = channels, annotators

    def normalise(self, dataset: Dataset, device: torch.device) -> Normalise:
        """The annotations' numbers stay as they are."""
        mean, std = (*dataset.mean, *TOKEN_MEAN * self._annotators), (*dataset.std, *TOKEN_STD * self._annotators)
        return Normalise(mean, std, device)

    def split(self, batch: Tensor) -> tuple[Tensor, Tensor | None]:
        """The first channels are the photograph."""
        return batch[:, : self._channels].contiguous(), batch[:, self._channels :].round().long()

    def most_tested(self, shape: Sequence[int]) -> int:
        """So many that a batch has at most `MOST_LOGITS` pairs of patches, of 2 × 2 pixels each."""
        return max(1, MOST_LOGITS // (shape[1] * shape[2] // 4) ** 2)

    def evidence(self, count: int, device: torch.device) -> Tensor:
        """float32 [count, 4]."""
        return torch.zeros(count, MEASURES, dtype=torch.float32, device=device)

    def judge(self, output: Any, labels: Tensor) -> tuple[Tensor, Tensor]:
        """output: `Grouped`; labels: int64 [B, annotators, H, W]. The loss is the negative modularity."""
        grouped: Grouped = output
        loss = -modularity(grouped.features, grouped.similarities).sum(dtype=torch.float64)
        parted, drawn = partition(grouped.similarities), labels.cpu().numpy()
        found = torch.empty(len(labels), MEASURES)
        for row, regions, count, people in zip(found, parted.labels.cpu(), parted.counts, drawn, strict=True):
            pixels = of_pixels(regions, people.shape[1])
            of_image = agreement(pixels.numpy(), [one for one in people if one.any()])
            row[:] = torch.tensor([100 * of_image.covering, 100 * of_image.rand, of_image.variation, float(count)])
        return found.to(labels.device), loss

    def top1(self, evidence: Evidence) -> float:
        """The mean covering, in percent."""
        return means(evidence)[COVERING]

    def fields(self, evidence: Evidence) -> dict[str, Any]:
        """The number of images, the means of the measures, and the measures of each image."""
        names = ("covering", "rand_index", "variation_of_information", "regions")
        return {
            "test_images": len(evidence),
            **dict(zip(names, means(evidence), strict=True)),
            "region_measures": pack_measures(evidence),
        }


def of_pixels(patches: Tensor, side: int) -> Tensor:
    """The labels of a square grid of patches, [patches], for the pixels of a square image, [side, side]."""
    grid = math.isqrt(len(patches))
    return patches.view(grid, grid).repeat_interleave(side // grid, dim=0).repeat_interleave(side // grid, dim=1)


class WindowedSegmentation(SemanticSegmentation):
    """Segmentation of images that are larger than the model's input: tested by sliding windows.

    Args:
        classes: the number of classes.
        side: pixels on each side of a window.
        stride: pixels from one window to the next; None for that of a window.
    """

    def __init__(self, classes: int, side: int, stride: int | None) -> None:
        super().__init__(classes)
        self._side, self._stride = side, stride or side

    def split(self, batch: Tensor) -> tuple[Tensor, Tensor | None]:
        """The last channel is the mask, in which what isn't the image's is ignored."""
        images, labels = super().split(batch)
        assert labels is not None
        return images, labels.where(labels != PADDING - 1, IGNORED)

    def predict(self, model: Callable[[Tensor], Any], batch: Tensor) -> Any:
        """The mean logits of the windows that cover a pixel."""
        sizes = image_sizes(batch[:, -1].round())
        return slide_each(model, self.split(batch)[0], sizes, self._side, self._stride)

    def sample(self, batch: Tensor) -> Tensor:
        """The first window of each image."""
        return self.split(batch)[0][:, :, : self._side, : self._side].contiguous()


CLASSIFICATION = Classification()


def task_of(dataset: Dataset, recipe: Recipe | None = None) -> Task:
    """The task of a data set: segmentation if its images have masks, grouping if they have regions without classes.

    Args:
        dataset: the data set.
        recipe: it says how far windows of large images are apart; None for windows without overlap.
    """
    if dataset.windowed:
        stride = None if recipe is None or recipe.scenes is None else recipe.scenes.stride
        return WindowedSegmentation(dataset.num_classes, dataset.image_size, stride)
    if dataset.regions is not None:
        return RegionGrouping(dataset.channels, dataset.regions.annotators)
    return SemanticSegmentation(dataset.num_classes) if dataset.task == "segmentation" else CLASSIFICATION

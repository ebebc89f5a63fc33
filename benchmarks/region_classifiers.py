"""Two ways to give classes to regions by their features: clusters without labels, and the nearest labelled regions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor

from benchmarks.regions import Labels, enlarged
from suite.data.bsds500 import Annotated
from suite.models.regions.matching import Counts, confusion
from suite.store.segmentation import class_ious, mean_iou


def counts_of(of_region: Labels, numbers: Tensor, photographs: Sequence[Annotated], shape: tuple[int, int]) -> Counts:
    """Count the pixels by what their regions are and by their class, over all photographs.

    Args:
        of_region: what each region is: its cluster, its class or its number, [regions].
        numbers: the region of each patch, [photographs, patches].
        photographs: with their classes.
        shape: how many of `of_region`'s values there are, and how many classes.
    """
    counts = np.zeros(shape, dtype=np.int64)
    for own, photograph in zip(of_region[numbers.numpy()], photographs, strict=True):
        truth = photograph.annotations[0]
        counts += confusion(enlarged(own, truth.shape), truth, shape)
    return counts


def front_regions(numbers: Tensor, background: Tensor | None) -> Tensor:
    """Which regions are foreground, bool [regions].

    Args:
        numbers: the region of each patch, [photographs, patches].
        background: which patches are background, bool of the same shape; None: none.
    """
    front = torch.ones(int(numbers.max()) + 1, dtype=torch.bool)
    if background is not None:
        front[numbers[background]] = False
    return front


def clustered(features: Tensor, front: Tensor, classes: int, seed: int) -> Labels:
    """Cluster the foreground regions of all photographs by k-means, [regions]. Background is one cluster more.

    Args:
        features: of the regions, [regions, width].
        front: which regions are foreground, [regions]. If all are, there is no cluster of background.
        classes: the number of clusters, with that of background.
        seed: of k-means.
    """
    of_region = np.full(len(features), classes - 1, dtype=np.int64)
    clusters = classes if front.all() else classes - 1
    of_region[front.numpy()] = KMeans(clusters, n_init=10, random_state=seed).fit_predict(features[front].numpy())
    return of_region


class Labelled:
    """The regions of photographs with the classes that most of their pixels have, by which others get theirs.

    Args:
        features: of the regions, [regions, width].
        numbers: the region of each patch, [photographs, patches].
        front: which regions are foreground, [regions]. All others have the class that most background pixels have.
        photographs: with their classes.
        classes: how many there are.
    """

    def __init__(
        self, features: Tensor, numbers: Tensor, front: Tensor, photographs: Sequence[Annotated], classes: int
    ) -> None:
        regions = np.arange(len(features))
        counts = counts_of(regions, numbers, photographs, (len(regions), classes))
        kept = front.numpy() & counts.any(axis=1)  # a region of ignored pixels has no class
        self._features, self._classes = features.numpy()[kept], counts.argmax(axis=1)[kept]
        self._background = int(counts[~front.numpy()].sum(axis=0).argmax())

    def classes_of(self, features: Tensor, front: Tensor, neighbours: int) -> Labels:
        """The class that most of a region's nearest neighbours have, by cosines, [regions]."""
        voters = KNeighborsClassifier(min(neighbours, len(self._features)), metric="cosine", algorithm="brute")
        of_region = np.full(len(features), self._background, dtype=np.int64)
        of_region[front.numpy()] = voters.fit(self._features, self._classes).predict(features[front].numpy())
        return of_region


def retrieved_miou(counts: Counts) -> float:
    """The mIoU in percent of classes that need no matching. counts: of pixels, by given and true class."""
    return mean_iou(class_ious(np.stack([np.diagonal(counts), counts.sum(axis=0), counts.sum(axis=1)])[None]))

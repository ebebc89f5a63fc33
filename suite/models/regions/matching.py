"""Mean IoU of clusters without names: clusters are matched with classes first, over all images together."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

Labels = npt.NDArray[np.integer[Any]]
Counts = npt.NDArray[np.int64]
IGNORED = 255  # the class of pixels that don't count, as in PASCAL VOC


class Matched(NamedTuple):
    """Clusters with the classes that were given to them.

    Attributes:
        classes: the class of each cluster, [clusters].
        iou: of each class, [classes]; NaN of classes that no pixel has.
        miou: the mean over the classes that a pixel has.
    """

    classes: npt.NDArray[np.int64]
    iou: npt.NDArray[np.float64]
    miou: float


def confusion(clusters: Labels, truth: Labels, shape: tuple[int, int], ignored: int = IGNORED) -> Counts:
    """The number of pixels of each cluster and each class, [clusters, classes]. Add up those of several images.

    Args:
        clusters: the cluster of each pixel, from 0.
        truth: the class of each pixel, of the same shape.
        shape: how many clusters and how many classes there are.
        ignored: the class of pixels that don't count.

    Raises:
        ValueError: different shapes, or a number out of range.
    """
    if clusters.shape != truth.shape:
        raise ValueError(f"clusters {clusters.shape} and classes {truth.shape} of other pixels")
    counted = truth != ignored
    pairs = np.stack([clusters[counted], truth[counted]]).astype(np.int64)
    if pairs.size and (pairs.min() < 0 or (pairs.max(axis=1) >= shape).any()):
        raise ValueError(f"clusters up to {pairs[0].max()} and classes up to {pairs[1].max()}, of {shape}")
    return np.bincount(pairs[0] * shape[1] + pairs[1], minlength=shape[0] * shape[1]).reshape(shape)


def matched(counts: Counts) -> Matched:
    """Match clusters with classes, and return the IoU.

    With as many clusters as classes, each class gets one cluster, so that the sum of IoUs is largest (Hungarian
    matching). Otherwise each cluster gets the class of most of its pixels.

    counts: of `confusion`, over all images, [clusters, classes].

    Raises:
        ValueError: no pixel is counted.
    """
    if not counts.sum():
        raise ValueError("at least one counted pixel is needed")
    clusters, classes = counts.shape
    if clusters == classes:
        given = linear_sum_assignment(_iou(counts), maximize=True)[1].astype(np.int64)
    else:
        given = counts.argmax(axis=1)
    merged = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(merged, given, counts)
    present = counts.sum(axis=0) > 0
    iou = np.where(present, np.diagonal(_iou(merged)), np.nan)
    return Matched(given, iou, float(iou[present].mean()))


def _iou(counts: Counts) -> npt.NDArray[np.float64]:
    """The IoU of each row with each column; 0 where both are empty."""
    union = counts.sum(axis=1)[:, None] + counts.sum(axis=0) - counts
    iou: npt.NDArray[np.float64] = counts / np.maximum(union, 1)
    return iou

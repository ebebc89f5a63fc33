"""What a run of a segmentation kept of its test, and how much each image adds to the mean intersection over union."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from suite.errors import InputError
from suite.store.segmentation import (
    LABELLED,
    PREDICTED,
    RIGHT,
    class_ious,
    mean_iou,
    pixel_accuracy,
    unpack_pixel_counts,
)
from suite.store.task_fields import ROUNDING_OF_MEANS

_MEND = "restore its record from version control, or delete it: the trial then runs again"


@dataclass(frozen=True)
class SegmentationEvidence:
    """What a run of a segmentation kept of its test.

    Args:
        counts: pixels per image and class, as `suite.store.segmentation` packs them.
        images: the number of images.
        ious: the intersection over union of each class in percent; None for a class that no image has.
        miou: their mean.
        accuracy: the share of labelled pixels that are correct, in percent.
    """

    counts: str
    images: int
    ious: tuple[float | None, ...]
    miou: float
    accuracy: float


def segmentation_evidence(run: Mapping[str, Any]) -> SegmentationEvidence | None:
    """What a run kept of its test; None if it isn't of a segmentation. run: a row of the frame."""
    if not isinstance(ious := run.get("class_iou"), str):
        return None
    return SegmentationEvidence(
        run["pixel_counts"], int(run["test_images"]), tuple(json.loads(ious)), float(run["miou"]), float(run["top1"])
    )


def pixel_counts(kept: SegmentationEvidence, where: str) -> npt.NDArray[np.int64]:
    """The pixel counts, int64 [images, 3, classes].

    Args:
        kept: the evidence.
        where: the place of the run, for the error message.

    Raises:
        InputError: the counts are damaged, or aren't those that the run's numbers are of.
    """
    try:
        counts = unpack_pixel_counts(kept.counts, kept.images, len(kept.ious))
    except ValueError as error:
        raise InputError(
            "the pixel counts of a run are damaged",
            expected=f"3 counts for each of {kept.images} images and {len(kept.ious)} classes, in base64",
            found=str(error),
            where=where,
            fix=_MEND,
        ) from None
    right, labelled, predicted = (counts[:, kind] for kind in (RIGHT, LABELLED, PREDICTED))
    balanced = (labelled.sum(axis=1) == predicted.sum(axis=1)).all()
    possible = (right <= np.minimum(labelled, predicted)).all() and balanced and labelled.any()
    numbers = {"mIoU": kept.miou, "pixel accuracy": kept.accuracy}
    found = {}
    if possible:
        found = {"mIoU": mean_iou(class_ious(counts)), "pixel accuracy": pixel_accuracy(counts)}
    if not possible or any(abs(found[name] - value) > ROUNDING_OF_MEANS for name, value in numbers.items()):
        raise InputError(
            "the numbers of a segmentation aren't those of its pixel counts",
            expected=", ".join(f"{name} {value:.6g}" for name, value in found.items()) or "counts that are possible",
            found=", ".join(f"{name} {value:.6g}" for name, value in numbers.items()),
            where=where,
            fix=_MEND,
        )
    return counts


def image_shares(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """How much each image adds to the mean intersection over union: float64 [images], whose mean is the mIoU (0 to 1).

    The mIoU is no mean over images, because unions are summed before they divide. Its derivative by the weight of an
    image gives one (the infinitesimal jackknife). With the intersection I_ic and the union U_ic of class c in image i,
    their sums over images I_c and U_c, and IoU_c = I_c / U_c:

        share_i = mIoU + N · mean over c of (I_ic − IoU_c U_ic) / U_c

    counts: int64 [images, 3, classes].
    """
    right, labelled, predicted = (counts[:, kind].astype(np.float64) for kind in (RIGHT, LABELLED, PREDICTED))
    union = labelled + predicted - right
    whole = union.sum(axis=0)
    there = whole > 0
    right, union, whole = right[:, there], union[:, there], whole[there]
    ious = right.sum(axis=0) / whole
    shares: npt.NDArray[np.float64] = ious.mean() + len(counts) * ((right - ious * union) / whole).mean(axis=1)
    return shares

"""The fields of a record that only some runs have, and whether those of a record fit each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from suite.store.corruptions import MOST_COPIES, count_copies, mean_error
from suite.store.segmentation import mean_iou

if TYPE_CHECKING:
    from suite.store.record import RunRecord

# Fields of runs with a validation split; those of other runs are left out of files.
OF_VALIDATION = ("validation_images", "validation_top1", "validation_top1_best_epoch", "top1_best_validation")

# Fields of runs that were tested on corrupted copies of the test images; left out in the same way.
OF_CORRUPTIONS = (
    "corruption_error", "corruption_errors", "corruption_images", "corruption_wrong", "corruption_data",
)  # fmt: skip

# Fields of runs that segment images; left out in the same way.
OF_SEGMENTATION = ("miou", "class_iou", "pixel_counts")

# Fields of runs that group patches into regions; left out in the same way.
OF_REGIONS = ("covering", "rand_index", "variation_of_information", "regions", "region_measures")

OF_SOME = (*OF_VALIDATION, *OF_CORRUPTIONS, *OF_SEGMENTATION, *OF_REGIONS)

ROUNDING_OF_MEANS = 0.005  # percent: records made elsewhere may have been rounded


def check_task_fields(record: RunRecord) -> None:
    """Raise `ValueError` unless the fields of each kind are all there, or none, and fit each other."""
    for names in (OF_CORRUPTIONS, OF_SEGMENTATION, OF_REGIONS):
        found = [getattr(record, name) is not None for name in names]
        if any(found) and not all(found):
            raise ValueError(f"all of {', '.join(names)}, or none of them")
    _check_corruptions(record)
    _check_segmentation(record)
    _check_regions(record)


def _check_corruptions(record: RunRecord) -> None:
    errors = record.corruption_errors
    if errors is None:
        return
    if not errors or not all(errors.values()) or count_copies(errors) > MOST_COPIES or not record.corruption_images:
        raise ValueError(f"errors of 1 to {MOST_COPIES} corrupted copies of at least one image")
    if abs(mean_error(errors) - (record.corruption_error or 0.0)) > ROUNDING_OF_MEANS:
        raise ValueError("a corruption_error that is the mean of corruption_errors")


def _check_segmentation(record: RunRecord) -> None:
    if record.class_iou is None or record.miou is None:
        return
    if record.correct is not None or not record.test_images:
        raise ValueError("pixel counts of at least one image, and no bits of whole images")
    if abs(mean_iou(record.class_iou) - record.miou) > ROUNDING_OF_MEANS:
        raise ValueError("a miou that is the mean of class_iou")


def _check_regions(record: RunRecord) -> None:
    if record.covering is None:
        return
    if record.correct is not None or record.miou is not None or not record.test_images:
        raise ValueError("measures of at least one image, and no bits of whole images and no pixel counts")
    if record.top1 is None or abs(record.top1 - record.covering) > ROUNDING_OF_MEANS:
        raise ValueError("a top1 that is the covering")

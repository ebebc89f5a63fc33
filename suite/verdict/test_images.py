"""The test images behind a comparison: which of them each run got right, held against the accuracies."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from suite.errors import InputError
from suite.store.record import unpack_bits
from suite.store.task_fields import OF_CORRUPTIONS, OF_REGIONS, OF_SEGMENTATION
from suite.verdict.comparisons import Comparison, Side
from suite.verdict.corrupted import corrupted_evidence, wrong_counts
from suite.verdict.grouped import MEASURED, image_measures, region_evidence
from suite.verdict.runs import is_missing, rows_of
from suite.verdict.segmented import image_shares, pixel_counts, segmentation_evidence
from suite.verdict.stats import Differences

if TYPE_CHECKING:
    from suite.verdict.runs import Frame

_MEND = "restore its record from version control, or delete it: the trial then runs again"


def check_test_images(comparison: Comparison) -> None:
    """Refuse pairs whose runs were tested on different numbers of images: their accuracies can't be compared.

    Raises:
        InputError: two finished runs of the comparison differ in it. (Of two data sets they may.)
    """
    if comparison.axis == "dataset":
        return
    seen: dict[int, str] = {}
    for side in (comparison.baseline, comparison.treatment):
        for seed, images in side.test_images.items():
            seen.setdefault(images, side.trials[seed])
    if len(seen) > 1:
        raise InputError(
            "the runs of a contrast were tested on different test sets",
            expected="as many test images in every run",
            found=", ".join(f"{images} in trial {seen[images]}" for images in sorted(seen)),
            where=f"runs.jsonl, {comparison.label}",
            fix="run the trials again on one prepared data set",
        )


def check_accuracies(frame: Frame) -> None:
    """Hold the accuracy of each finished run that kept its answers against them, whatever claims are about.

    frame: as `suite.store.load_frame` gives it.

    Raises:
        InputError: a run's answers are damaged, or aren't those that its accuracy is of.
    """
    columns = ("status", "trial_id", "correct", "test_images", "top1")
    for status, trial_id, packed, images, top1 in rows_of(frame, columns):
        if status == "done" and not is_missing(packed):
            _unpacked(packed, 0 if is_missing(images) else int(images), top1, f"runs.jsonl, trial {trial_id}")
    if "corruption_errors" not in frame:
        return
    for trial_id, *values in rows_of(frame, ("trial_id", *OF_CORRUPTIONS)):
        kept = corrupted_evidence(dict(zip(OF_CORRUPTIONS, values, strict=True)))
        if kept is not None:
            wrong_counts(kept, f"runs.jsonl, trial {trial_id}")
    if "pixel_counts" not in frame:
        return
    columns = ("test_images", "top1", *OF_SEGMENTATION)
    for trial_id, *values in rows_of(frame, ("trial_id", *columns)):
        segmented = segmentation_evidence(dict(zip(columns, values, strict=True)))
        if segmented is not None:
            pixel_counts(segmented, f"runs.jsonl, trial {trial_id}")
    if "region_measures" not in frame:
        return
    for trial_id, *values in rows_of(frame, ("trial_id", "test_images", *OF_REGIONS)):
        grouped = region_evidence(dict(zip(("test_images", *OF_REGIONS), values, strict=True)))
        if grouped is not None:
            image_measures(grouped, f"runs.jsonl, trial {trial_id}")


def differences(comparison: Comparison) -> Differences | None:
    """The comparison's pairs, image by image: 1 where only the treatment is right, -1 where only the baseline is.

    Of a corruption error: how many more copies of the image the treatment got right. Of a mean intersection over union:
    by how much more the image adds to it (see `image_shares`). Of a measure of regions: by how much the image's is
    better, in hundredths of its unit. [pairs, images], in the order of `comparison.seeds`. None if a run kept none,
    or if they are not those of the metric: they are of the last epoch, and of one test set.

    Raises:
        InputError: a run's answers are damaged, or aren't those that its accuracy is of.
    """
    if not comparison.of_last_epoch or comparison.axis == "dataset" or not comparison.seeds:
        return None
    if comparison.measured.items == "wrong_copies":
        return _fewer_wrong(comparison)
    if comparison.measured.items == "pixel_counts":
        return _more_shares(comparison)
    if comparison.measured.items == "region_measures":
        return _better_measures(comparison)
    if comparison.measured.items != "correct" or lacking(comparison):
        return None
    baseline, treatment = (
        np.stack([_answers(side, seed, comparison.label) for seed in comparison.seeds])
        for side in (comparison.baseline, comparison.treatment)
    )
    return treatment.astype(np.int8) - baseline.astype(np.int8)


def copies_of_images(comparison: Comparison) -> int:
    """How many copies of each test image the metric is of."""
    if comparison.measured.items != "wrong_copies":
        return 1
    return max(comparison.baseline.corrupted[seed].copies for seed in comparison.seeds)


def same_corrupted_images(comparison: Comparison) -> bool:
    """Whether all pairs were tested on the same corrupted images, as far as they were tested on any."""
    sides = (comparison.baseline, comparison.treatment)
    return len({side.corrupted[seed].data for side in sides for seed in comparison.seeds if seed in side.corrupted}) < 2


def _fewer_wrong(comparison: Comparison) -> Differences | None:
    """Pair by pair and image by image, by how many wrong answers the treatment has fewer; None: of other images."""
    if not same_corrupted_images(comparison):
        return None
    baseline, treatment = (
        np.stack([
            wrong_counts(side.corrupted[seed], f"runs.jsonl, trial {side.trials[seed]} ({comparison.label})")
            for seed in comparison.seeds
        ])
        for side in (comparison.baseline, comparison.treatment)
    )  # fmt: skip
    return baseline.astype(np.int16) - treatment.astype(np.int16)


def _more_shares(comparison: Comparison) -> Differences:
    """Pair by pair and image by image, by how much more the image adds to the treatment's mIoU."""
    baseline, treatment = (
        np.stack([
            image_shares(
                pixel_counts(side.segmented[seed], f"runs.jsonl, trial {side.trials[seed]} ({comparison.label})")
            )
            for seed in comparison.seeds
        ])
        for side in (comparison.baseline, comparison.treatment)
    )  # fmt: skip
    return treatment - baseline


def _better_measures(comparison: Comparison) -> Differences:
    """Pair by pair and image by image, by how much the treatment's measure is better, in hundredths of its unit."""
    column = MEASURED.index(comparison.metric)
    baseline, treatment = (
        np.stack([
            image_measures(side.grouped[seed], f"runs.jsonl, trial {side.trials[seed]} ({comparison.label})")[:, column]
            for seed in comparison.seeds
        ])
        for side in (comparison.baseline, comparison.treatment)
    )  # fmt: skip
    return comparison.measured.sign * (treatment - baseline) / 100


def lacking(comparison: Comparison) -> int:
    """How many runs of the comparison's pairs kept no answers."""
    return sum(
        seed not in side.correct for side in (comparison.baseline, comparison.treatment) for seed in comparison.seeds
    )


def copies(side: Side, accuracies: Mapping[int, float] | None = None) -> list[int]:
    """The seeds whose answers are, bit by bit, those of a seed before them, and not all right.

    accuracies: of each seed, in percent; by default the values of the side.
    """
    accuracies = side.values if accuracies is None else accuracies
    seen: set[str] = set()
    found = []
    for seed, packed in side.correct.items():
        if packed in seen and accuracies.get(seed, 0.0) < 100:
            found.append(seed)
        seen.add(packed)
    return found


def _answers(side: Side, seed: int, label: str) -> npt.NDArray[np.bool_]:
    where = f"runs.jsonl, trial {side.trials[seed]} ({label})"
    return _unpacked(side.correct[seed], side.test_images.get(seed, 0), side.values[seed], where)


def _rounding(top1: float, images: int) -> float:
    """How far an accuracy may be from its answers: records made elsewhere may have been rounded.

    Half a unit of its last decimal. But a number such as 50.0 doesn't say whether it was rounded to a whole percent, so
    at most half an image, or half a hundredth where there are so many images that a hundredth is more than one of them.
    """
    exponent = Decimal(repr(top1)).as_tuple().exponent
    unit = 10.0**exponent if isinstance(exponent, int) else 0.0
    return min(unit / 2, max(50 / images, 0.005)) + 1e-9


def _unpacked(packed: str, images: int, top1: float, where: str) -> npt.NDArray[np.bool_]:
    # The length first: a record of ten bytes may say that it is of any number of images.
    whole = 0 < images <= 8 * len(packed) and len(packed) == 4 * math.ceil(math.ceil(images / 8) / 3)
    try:
        bits = unpack_bits(packed, images if whole else 0)
    except ValueError:
        whole = False
    if not whole:
        raise InputError(
            "the answers of a run are damaged",
            expected=f"a bit for each of {images} test images, in base64",
            found=f"{packed[:40]!r}…" if len(packed) > 40 else repr(packed),
            where=where,
            fix=_MEND,
        )
    share = float(bits.mean())
    if abs(100 * share - top1) > _rounding(top1, images):
        fraction = abs(share - top1) <= 1 / images
        raise InputError(
            "an accuracy is a fraction, not a percentage" if fraction else "an accuracy isn't that of its answers",
            expected=f"{100 * share:.6g}, as {int(bits.sum())} of {images} answers are right",
            found=f"{top1:.6g}",
            where=where,
            fix=_MEND,
        )
    return bits

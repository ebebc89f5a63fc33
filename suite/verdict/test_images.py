"""The test images behind a contrast: which of them each run got right, held against the accuracies."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pandas as pd

from suite.errors import InputError
from suite.store.record import unpack_bits
from suite.verdict.comparisons import Contrast, Side
from suite.verdict.stats import Differences

_MEND = "restore its record from version control, or delete it: the trial then runs again"


def check_test_images(contrast: Contrast) -> None:
    """Refuse pairs whose runs were tested on different numbers of images: their accuracies can't be compared.

    Raises:
        InputError: two finished runs of the contrast differ in it. (Of two data sets they may.)
    """
    if contrast.axis == "dataset":
        return
    seen: dict[int, str] = {}
    for side in (contrast.baseline, contrast.treatment):
        for seed, images in side.test_images.items():
            seen.setdefault(images, side.trials[seed])
    if len(seen) > 1:
        raise InputError(
            "the runs of a contrast were tested on different test sets",
            expected="as many test images in every run",
            found=", ".join(f"{images} in trial {seen[images]}" for images in sorted(seen)),
            where=f"runs.jsonl, {contrast.label}",
            fix="run the trials again on one prepared data set",
        )


def check_accuracies(frame: pd.DataFrame) -> None:
    """Hold the accuracy of each finished run that kept its answers against them, whatever claims are about.

    frame: as `suite.store.load_frame` gives it.

    Raises:
        InputError: a run's answers are damaged, or aren't those that its accuracy is of.
    """
    kept = frame[(frame["status"] == "done") & frame["correct"].notna()]
    columns = (kept[name].tolist() for name in ("trial_id", "correct", "test_images", "top1"))
    for trial_id, packed, images, top1 in zip(*columns, strict=True):
        _unpacked(packed, 0 if math.isnan(images) else int(images), top1, f"runs.jsonl, trial {trial_id}")


def differences(contrast: Contrast) -> Differences | None:
    """The contrast's pairs, image by image: 1 where only the treatment is right, -1 where only the baseline is.

    [pairs, images], in the order of `contrast.seeds`. None if a run of them kept no answers, or if they are not
    those of the metric: they are of the last epoch, and of one test set.

    Raises:
        InputError: a run's answers are damaged, or aren't those that its accuracy is of.
    """
    if contrast.metric != "top1" or contrast.axis == "dataset" or lacking(contrast) or not contrast.seeds:
        return None
    baseline, treatment = (
        np.stack([_answers(side, seed, contrast.label) for seed in contrast.seeds])
        for side in (contrast.baseline, contrast.treatment)
    )
    return treatment.astype(np.int8) - baseline.astype(np.int8)


def lacking(contrast: Contrast) -> int:
    """How many runs of the contrast's pairs kept no answers."""
    return sum(seed not in side.correct for side in (contrast.baseline, contrast.treatment) for seed in contrast.seeds)


def copies(side: Side) -> list[int]:
    """The seeds whose answers are, bit by bit, those of a seed before them, and not all right."""
    seen: set[str] = set()
    found = []
    for seed, packed in side.correct.items():
        if packed in seen and side.values[seed] < 100:
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

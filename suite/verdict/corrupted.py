"""What a run kept of its test on corrupted images, and whether its numbers fit each other."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from suite.errors import InputError
from suite.store.corruptions import count_copies, unpack_counts
from suite.store.task_fields import ROUNDING_OF_MEANS

_MEND = "restore its record from version control, or delete it: the trial then runs again"


@dataclass(frozen=True)
class CorruptedEvidence:
    """What a run kept of its test on corrupted images.

    Args:
        wrong: how many answers to the copies of each image are wrong, as `suite.store.corruptions` packs it.
        images: the number of images.
        copies: the number of copies of each.
        error: the mean error in percent.
        data: the checksum of the corrupted images.
    """

    wrong: str
    images: int
    copies: int
    error: float
    data: str


def corrupted_evidence(run: Mapping[str, Any]) -> CorruptedEvidence | None:
    """What a run kept of its test on corrupted images; None if there was none. run: a row of the frame."""
    if not isinstance(errors := run.get("corruption_errors"), str):
        return None
    return CorruptedEvidence(
        run["corruption_wrong"],
        int(run["corruption_images"]),
        count_copies(json.loads(errors)),
        float(run["corruption_error"]),
        run["corruption_data"],
    )


def wrong_counts(kept: CorruptedEvidence, where: str) -> npt.NDArray[np.uint8]:
    """How many answers to the copies of each image are wrong: uint8 [images].

    Args:
        kept: the evidence.
        where: the place of the run, for the error message.

    Raises:
        InputError: the numbers are damaged, or aren't those that the run's error is of.
    """
    try:
        counts = unpack_counts(kept.wrong)
    except ValueError:
        counts = np.zeros(0, np.uint8)
    if len(counts) != kept.images or counts.max(initial=0) > kept.copies:
        raise InputError(
            "the answers of a run to corrupted images are damaged",
            expected=f"a number from 0 to {kept.copies} for each of {kept.images} images, in base64",
            found=f"{kept.wrong[:40]!r}…" if len(kept.wrong) > 40 else repr(kept.wrong),
            where=where,
            fix=_MEND,
        )
    error = 100 * float(counts.mean(dtype=np.float64)) / kept.copies
    if abs(error - kept.error) > ROUNDING_OF_MEANS:
        raise InputError(
            "an error on corrupted images isn't that of its answers",
            expected=f"{error:.6g}, as {int(counts.sum(dtype=np.int64))} of {kept.images * kept.copies} are wrong",
            found=f"{kept.error:.6g}",
            where=where,
            fix=_MEND,
        )
    return counts

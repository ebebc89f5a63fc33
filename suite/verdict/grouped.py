"""What a run that groups patches into regions kept of its test: measures of each image, held against their means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from suite.errors import InputError
from suite.store.regions import means, unpack_measures
from suite.store.task_fields import OF_REGIONS, ROUNDING_OF_MEANS
from suite.verdict.runs import is_missing

_MEND = "restore its record from version control, or delete it: the trial then runs again"
MEASURED = OF_REGIONS[:-1]  # the names of the measures, in the order in which they are packed


@dataclass(frozen=True)
class RegionEvidence:
    """What a run that groups patches kept of its test.

    Args:
        measures: those of each image, as `suite.store.regions` packs them.
        images: the number of images.
        means: the mean of each measure over images, by its name in `MEASURED`.
    """

    measures: str
    images: int
    means: Mapping[str, float]


def region_evidence(run: Mapping[str, Any]) -> RegionEvidence | None:
    """What a run kept of its test; None if it groups no patches. run: a row of the frame."""
    packed = run.get("region_measures")
    if not isinstance(packed, str) or is_missing(run.get("covering")):
        return None
    return RegionEvidence(packed, int(run["test_images"]), {name: float(run[name]) for name in MEASURED})


def image_measures(kept: RegionEvidence, where: str) -> npt.NDArray[np.float64]:
    """The measures of each image, float64 [images, 4]; the columns are in the order of `MEASURED`.

    Args:
        kept: the evidence.
        where: the place of the run, for the error message.

    Raises:
        InputError: the measures are damaged, or aren't those that the run's means are of.
    """
    try:
        measures = unpack_measures(kept.measures, kept.images)
    except ValueError as error:
        raise InputError(
            "the measures of a run's regions are damaged",
            expected=f"4 numbers for each of {kept.images} images, in base64",
            found=str(error),
            where=where,
            fix=_MEND,
        ) from None
    found = dict(zip(MEASURED, means(measures), strict=True))
    if any(abs(found[name] - value) > ROUNDING_OF_MEANS for name, value in kept.means.items()):
        raise InputError(
            "the means of a run's regions aren't those of its images",
            expected=", ".join(f"{name} {value:.6g}" for name, value in found.items()),
            found=", ".join(f"{name} {value:.6g}" for name, value in kept.means.items()),
            where=where,
            fix=_MEND,
        )
    return measures.astype(np.float64)

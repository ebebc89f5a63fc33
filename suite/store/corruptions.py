"""What a record keeps of the test on corrupted copies of the test images."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np  # imported where counts are packed: a status does without it
    import numpy.typing as npt

MOST_COPIES = 255  # of an image: its wrong answers are counted in a byte

Errors = Mapping[str, Mapping[str, float]]  # percent, by kind of corruption and by severity


def mean_error(errors: Errors) -> float:
    """The mean error over all kinds and severities, in percent.

    Raises:
        ValueError: there are no errors.
    """
    values = [error for by_severity in errors.values() for error in by_severity.values()]
    if not values:
        raise ValueError("no errors to average")
    return sum(values) / len(values)


def count_copies(errors: Errors) -> int:
    """How many corrupted copies of each image were tested."""
    return sum(map(len, errors.values()))


def severities_of(errors: Errors) -> tuple[str, ...]:
    """The severities that every kind was tested at; empty if they differ between kinds."""
    found: Iterable[tuple[str, ...]] = {tuple(sorted(by_severity)) for by_severity in errors.values()}
    several = list(found)
    return several[0] if len(several) == 1 else ()


def pack_counts(counts: npt.NDArray[np.uint8]) -> str:
    """A byte per image, in the order of the test split, as base64."""
    return base64.b64encode(counts.tobytes()).decode("ascii")


def unpack_counts(packed: str) -> npt.NDArray[np.uint8]:
    """The inverse of `pack_counts`.

    Raises:
        ValueError: the text isn't base64.
    """
    import numpy as np

    return np.frombuffer(base64.b64decode(packed, validate=True), np.uint8)

"""What a record keeps of the test of a segmentation: pixel counts per image and class, and what follows from them."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np  # imported where counts are packed: a status does without it
    import numpy.typing as npt

RIGHT, LABELLED, PREDICTED = range(3)  # the counts of a class: correct pixels, its labelled pixels, those predicted so
COUNTS = 3
_WIDTHS = (2, 4)  # bytes of a count


def class_ious(counts: npt.NDArray[np.int64]) -> tuple[float | None, ...]:
    """The intersection over union of each class over all images, in percent.

    counts: int64 [images, 3, classes]: see `RIGHT`, `LABELLED`, `PREDICTED`. Pixels whose label is ignored count
    nowhere.

    Returns:
        A value per class; None for a class that no image has and that was predicted nowhere.
    """
    right, labelled, predicted = counts.sum(axis=0)
    union = labelled + predicted - right
    return tuple(100.0 * int(r) / int(u) if u else None for r, u in zip(right, union, strict=True))


def mean_iou(ious: Sequence[float | None]) -> float:
    """The mean of the classes' intersections over union, without those that have none (None).

    Raises:
        ValueError: there are none at all.
    """
    there = [value for value in ious if value is not None]
    if not there:
        raise ValueError("no intersection over union to average")
    return sum(there) / len(there)


def pixel_accuracy(counts: npt.NDArray[np.int64]) -> float:
    """The share of labelled pixels that are correct, in percent. counts: as for `class_ious`."""
    right, labelled, _ = counts.sum(axis=(0, 2))
    return 100.0 * int(right) / int(labelled) if labelled else 0.0


def pack_pixel_counts(counts: npt.NDArray[np.int64]) -> str:
    """Counts [images, 3, classes] as base64: a byte with the width of a number, a bit per count (not 0?), the numbers.

    Most counts are 0, because an image has few of the classes. The numbers are little-endian.
    """
    import numpy as np

    flat = counts.ravel()
    found = flat[flat > 0]
    width = _WIDTHS[0] if found.max(initial=0) < 2**16 else _WIDTHS[1]
    parts = bytes([width]), np.packbits(flat > 0).tobytes(), found.astype(f"<u{width}").tobytes()
    return base64.b64encode(b"".join(parts)).decode("ascii")


def unpack_pixel_counts(packed: str, images: int, classes: int) -> npt.NDArray[np.int64]:
    """The inverse of `pack_pixel_counts`: int64 [images, 3, classes].

    Raises:
        ValueError: the text isn't base64, or isn't of so many images and classes.
    """
    import numpy as np

    content = base64.b64decode(packed, validate=True)
    total = images * COUNTS * classes
    bits = -(-total // 8)
    # The length first: a record of ten bytes may say that it is of any number of images.
    if len(content) < 1 + bits or content[0] not in _WIDTHS:
        raise ValueError("counts of another number of images or classes")
    there = np.unpackbits(np.frombuffer(content, np.uint8, bits, 1), count=total).astype(bool)
    rest, width = content[1 + bits :], content[0]
    if len(rest) != width * int(there.sum()):
        raise ValueError("fewer or more numbers than there are counts")
    counts = np.zeros(total, dtype=np.int64)
    counts[there] = np.frombuffer(rest, f"<u{width}")
    return counts.reshape(images, COUNTS, classes)

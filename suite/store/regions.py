"""What a record keeps of the test of a grouping into regions: measures of each image, and what follows from them."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np  # imported where measures are packed: a status does without it
    import numpy.typing as npt

# Of an image: means over its annotators of covering (%), Rand index (%) and variation of information (bits); and the
# number of regions that it was grouped into.
COVERING, RAND_INDEX, VARIATION, REGIONS = range(4)
MEASURES = 4


def means(measures: npt.NDArray[np.float32]) -> tuple[float, ...]:
    """The mean of each measure over images. measures: float32 [images, 4]."""
    import numpy as np

    return tuple(float(value) for value in measures.mean(axis=0, dtype=np.float64))


def pack_measures(measures: npt.NDArray[np.float32]) -> str:
    """Measures [images, 4] as base64 of little-endian numbers in single precision."""
    return base64.b64encode(measures.astype("<f4").tobytes()).decode("ascii")


def unpack_measures(packed: str, images: int) -> npt.NDArray[np.float32]:
    """The inverse of `pack_measures`: float32 [images, 4].

    Raises:
        ValueError: the text isn't base64, isn't of so many images, or has a number that isn't finite.
    """
    import numpy as np

    content = base64.b64decode(packed, validate=True)
    if len(content) != 4 * MEASURES * images:
        raise ValueError("measures of another number of images")
    measures = np.frombuffer(content, "<f4").reshape(images, MEASURES).astype(np.float32)
    if not np.isfinite(measures).all():
        raise ValueError("a measure that is not finite")
    return measures

"""Statistics of per-image correctness: which test images each side of a pair classified correctly.

Seeds and test images are crossed: every run is tested on the same images. The t interval over pairs treats the
test set as fixed; `suite.verdict.stats.crossed` also measures how far a gain depends on the choice of test images.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# [pairs, images]: 1 where only the treatment is correct on the image, -1 where only the baseline is, else 0. Of several
# copies of each image: how many more of them the treatment classified correctly. Of a metric that isn't a mean of
# answers: by how much more the image adds to it, in floats whose mean is the gain (0 to 1).
Differences = npt.NDArray[np.int8] | npt.NDArray[np.int16] | npt.NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """The ends of an interval, in percentage points."""

    low: float
    high: float


def mcnemar(gained: npt.ArrayLike, lost: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """McNemar's exact two-sided p-value of each pair, from the images on which only one side is correct.

    The test of a pair shows whether two trained models differ. It doesn't show whether models trained with another
    seed would.

    Args:
        gained: for each pair, the number of images on which only the treatment is correct.
        lost: for each pair, the number of images on which only the baseline is correct.

    Returns:
        One p-value per pair; 1 for a pair without such images.
    """
    from scipy import special  # imported here to save its 40 MB in training processes

    gained, lost = np.asarray(gained, dtype=np.int64), np.asarray(lost, dtype=np.int64)
    at_most: npt.NDArray[np.float64] = special.bdtr(np.minimum(gained, lost), gained + lost, 0.5)
    return np.minimum(2 * at_most, 1.0)

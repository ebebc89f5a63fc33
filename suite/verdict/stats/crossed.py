"""One interval for seeds and test images: how far would the mean gain move with other seeds and other images?

Every run answers the same test images, so seeds and images are crossed, and a crossed analysis of variance of the
differences (1 where only the treatment is right, −1 where only the baseline is, else 0) tells their shares apart:

    mean ± √((t · s / √n)² + (z · se_images)²),   se_images² = max(0, MS_images − MS_residual) / (n N)

with n pairs, N images, the standard deviation s of the gains, and the mean squares of images and of the residual. The
residual (a run's own noise on an image) is in s already. docs/statistics.md says how often the interval holds the gain
over all seeds and images.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from suite.verdict.stats.gains import IDENTICAL, paired_gain
from suite.verdict.stats.images import Differences


@dataclass(frozen=True)
class CrossedInterval:
    """An interval of the mean gain over seeds and test images, in percentage points.

    sd: of the gains from seed to seed. se_images: the standard error of the mean gain that comes from the test
    images. low, high: NaN with fewer than two pairs or images.
    floor: the sd that the single answers imply if pairs differ by nothing but the noise of each run on each image. The
    true sd can't be smaller. p_below_floor: the probability of an sd as small as this one if the true one is the
    floor; a small value says that these runs are more alike than separate training runs can be, or that few pairs
    happen to agree. Both are NaN where they are not defined.
    """

    pairs: int
    images: int
    mean: float
    sd: float
    se_images: float
    low: float
    high: float
    floor: float
    p_below_floor: float


def crossed_interval(
    differences: Differences, level: float = 0.95, t_quantile: float | None = None, copies: int = 1
) -> CrossedInterval:
    """The interval of the mean gain over seeds and test images.

    Args:
        differences: [pairs, images]; 1 where only the treatment got the image right, −1 where only the baseline did.
            Of several copies of each image: how many more of them the treatment got right. Or floats: see
            `suite.verdict.stats.images.Differences`.
        level: of the two-sided interval.
        t_quantile: how many standard errors of the gains the seeds' part reaches on either side; that of the level
            unless given. Give `suite.verdict.stats.sequential.critical_t` for an interval that holds at every look.
        copies: how many copies of each image were tested.

    Raises:
        ValueError: no pair or no image.
    """
    n, images = differences.shape
    if not n or not images:
        raise ValueError("at least one pair and one image are needed")
    by_pair = 100 * differences.mean(axis=1, dtype=np.float64) / copies
    gain = paired_gain(by_pair, level)
    if n < 2 or images < 2:
        nan = math.nan
        return CrossedInterval(n, images, gain.mean, gain.sd, nan, nan, nan, nan, nan)
    from scipy import special  # here: a process that trains does without its 40 MB

    ms_images, ms_residual = (square / copies**2 for square in _mean_squares(differences, copies))
    se_images = 100 * math.sqrt(max(0.0, ms_images - ms_residual) / (n * images))
    floor = 100 * math.sqrt(ms_residual / images)
    seeds = (
        (float(special.stdtrit(n - 1, (1 + level) / 2)) if t_quantile is None else t_quantile) * gain.sd / math.sqrt(n)
    )
    half = math.hypot(seeds, float(special.ndtri((1 + level) / 2)) * se_images)
    below = float(special.chdtr(n - 1, (n - 1) * (gain.sd / floor) ** 2)) if floor > IDENTICAL else math.nan
    return CrossedInterval(n, images, gain.mean, gain.sd, se_images, gain.mean - half, gain.mean + half, floor, below)


def _mean_squares(differences: Differences, copies: int) -> tuple[float, float]:
    """The mean squares of images and of the residual, in (share of a copy of an image)².

    Of whole numbers: sums of squares by their totals are exact, and no array of floats as large as all answers is made.
    """
    n, images = differences.shape
    if differences.dtype == np.float64:
        return _mean_squares_of_floats(differences.astype(np.float64, copy=False))
    by_pair = differences.sum(axis=1, dtype=np.int64)
    by_image = differences.sum(axis=0, dtype=np.int64)
    total = int(by_pair.sum())
    if copies == 1:
        squares = int(np.count_nonzero(differences))  # each square is 0 or 1
    else:
        squares = sum(int(np.square(row, dtype=np.int64).sum()) for row in differences)
    # n · N times each sum of squares, exactly.
    all_squares = n * images * squares - total**2
    of_images = images * int((by_image**2).sum()) - total**2
    of_pairs = n * int((by_pair**2).sum()) - total**2
    residual = all_squares - of_images - of_pairs
    whole = n * images
    return of_images / whole / (images - 1), residual / whole / ((n - 1) * (images - 1))


def _mean_squares_of_floats(differences: npt.NDArray[np.float64]) -> tuple[float, float]:
    n, images = differences.shape
    by_image = differences.mean(axis=0) - differences.mean()
    by_pair = differences.mean(axis=1, keepdims=True) - differences.mean()
    residual = differences - differences.mean() - by_image - by_pair
    of_images = n * float(np.square(by_image).sum())
    return of_images / (images - 1), float(np.square(residual).sum()) / ((n - 1) * (images - 1))

"""Statistics of per-image correctness: which test images each side of a pair classified correctly.

Seeds and test images are crossed: every run is tested on the same images. The t interval over pairs treats the
test set as fixed. A bootstrap that resamples seeds and images also measures how far a gain depends on the choice
of test images.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# [pairs, images]: 1 where only the treatment is correct on the image, -1 where only the baseline is, else 0.
Differences = npt.NDArray[np.int8]

DRAWS = 2_000
_CHUNK = 2**22  # image weights in memory at a time
_PAIRS = 256  # pairs per matrix multiplication


@dataclass(frozen=True)
class Interval:
    """The ends of an interval, in percentage points."""

    low: float
    high: float


def bootstrap_gains(
    contrasts: Sequence[Differences],
    seeds: Sequence[int],
    images_seed: int,
    *,
    level: float = 0.95,
    draws: int = DRAWS,
) -> list[Interval]:
    """Percentile intervals of mean gains by a two-level bootstrap, for contrasts on one test set.

    Each draw resamples the n pairs and the N test images, both with replacement. The same images are used for both
    sides, for all pairs and for all contrasts (Owen 2007, "The pigeonhole bootstrap"). With few pairs, the interval
    is too narrow, for two reasons: resampling n values reduces their variance to (n − 1)/n, and percentiles lack
    the t distribution's correction for small samples. docs/statistics.md gives the size of the error.

    The result of a contrast doesn't depend on the other contrasts.

    Args:
        contrasts: the differences of each contrast, [pairs, images].
        seeds: the random seed for resampling the pairs, one per contrast.
        images_seed: the random seed for resampling the images.
        level: the confidence level.
        draws: the number of bootstrap draws.

    Raises:
        ValueError: the contrasts differ in their number of images, or one has no pair or no image.
    """
    if not contrasts:
        return []
    images = contrasts[0].shape[1]
    if any(one.shape[1] != images or not one.size for one in contrasts):
        raise ValueError("all contrasts need the same images, and at least one pair and one image")
    pairs_drawn = [
        np.random.default_rng(seed).multinomial(len(one), np.full(len(one), 1 / len(one)), size=draws)
        for one, seed in zip(contrasts, seeds, strict=True)
    ]
    stacked, ends = np.concatenate(contrasts), np.cumsum([len(one) for one in contrasts])
    totals = np.empty((len(contrasts), draws), dtype=np.int64)
    for at, images_drawn in _image_draws(images, draws, images_seed):
        # Integers below 2^24 are exact in float32, in any order of summation. Multiplying many pairs at a time
        # halves the run time.
        by_pair = np.concatenate(
            [
                images_drawn @ stacked[start : start + _PAIRS].T.astype(np.float32)
                for start in range(0, ends[-1], _PAIRS)
            ],
            axis=1,
        )
        for number, (end, pairs) in enumerate(zip(ends, pairs_drawn, strict=True)):
            by_contrast = by_pair[:, end - pairs.shape[1] : end].astype(np.int64)
            totals[number, at] = (by_contrast * pairs[at]).sum(axis=1)
    tail = (1 - level) / 2
    found = []
    for one, total in zip(contrasts, totals, strict=True):
        low, high = np.quantile(100 * total / one.size, (tail, 1 - tail))
        found.append(Interval(float(low), float(high)))
    return found


def _image_draws(images: int, draws: int, seed: int) -> Iterator[tuple[slice, npt.NDArray[np.float32]]]:
    """How often each image was drawn, [draws, images], in chunks of several draws."""
    rng = np.random.default_rng(seed)
    step = max(1, _CHUNK // images)
    for start in range(0, draws, step):
        rows = min(step, draws - start)
        drawn = rng.integers(0, images, size=(rows, images)) + images * np.arange(rows)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=rows * images).reshape(rows, images)
        yield slice(start, start + rows), counts.astype(np.float32)


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

"""Statistics of single test images: was each of them right, on both sides of a pair?

Seeds and test images are crossed: every run answers the same images. The t interval over pairs takes the test
set as given; a bootstrap that draws seeds and images anew also asks how much of a gain is this test set's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# [pairs, images]: 1 where only the treatment got the image right, -1 where only the baseline did, else 0.
Differences = npt.NDArray[np.int8]

DRAWS = 2_000
_CHUNK = 2**22  # weights of images held at once
_PAIRS = 256  # pairs multiplied with them at once


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
    """Percentile intervals of mean gains by a two-level bootstrap, of contrasts on one test set.

    Each draw takes n of the n pairs and N of the N test images, both with replacement; the images are the same
    for both sides, for all pairs and for all contrasts (Owen 2007, "The pigeonhole bootstrap"). Of few
    pairs the interval is too narrow: n draws of n values vary by (n − 1)/n of what the values do, and
    percentiles know no t. docs/statistics.md says by how much.

    seeds: of the pairs drawn, one per contrast; images_seed: of the images drawn. The result of a contrast
    doesn't depend on the others.

    Raises:
        ValueError: contrasts of different images, or nothing to draw from.
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
        # Whole numbers below 2^24: exact in float32, in whatever order they are added up. Many pairs at a time
        # halve the time.
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
    """How often each image was drawn, [draws, images], some draws at a time."""
    rng = np.random.default_rng(seed)
    step = max(1, _CHUNK // images)
    for start in range(0, draws, step):
        rows = min(step, draws - start)
        drawn = rng.integers(0, images, size=(rows, images)) + images * np.arange(rows)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=rows * images).reshape(rows, images)
        yield slice(start, start + rows), counts.astype(np.float32)


def mcnemar(gained: npt.ArrayLike, lost: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """McNemar's exact two-sided p of each pair, from the images that only one side got right.

    gained: right by the treatment alone; lost: by the baseline alone. Pairs without such images have p = 1.
    Of one pair it tells whether two trained models differ on such images; not whether another seed's would.
    """
    from scipy import special  # here: a process that trains does without its 40 MB

    gained, lost = np.asarray(gained, dtype=np.int64), np.asarray(lost, dtype=np.int64)
    at_most: npt.NDArray[np.float64] = special.bdtr(np.minimum(gained, lost), gained + lost, 0.5)
    return np.minimum(2 * at_most, 1.0)

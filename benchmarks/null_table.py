"""Simulates the null distribution behind sequential verdicts: `python -m benchmarks.null_table` writes its table.

Gains are drawn from a normal distribution with mean zero. For each row of draws, S is the minimum of p_k · N / k over
the prefixes of k = 3 … N pairs, where p_k is the one-sided p-value of the t-test. The t statistic has no unit, so one
table is valid for every standard deviation. All N use the same draws: S_N / N is a running minimum of p_k / k.

The table has a quantile of S for each level and N. Each is the order statistic one standard error below the usual
estimate, so that p-values from the table are conservative. Seeds are fixed: the same code gives the same table.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from scipy import special

from suite.store.canonical import derive_seed
from suite.verdict.stats.sequential import FIRST_LOOK, TABLE

Floats = npt.NDArray[np.float64]

DRAWS = 4_000_000
CHUNK = 50_000
SIZES = (*range(FIRST_LOOK, 31), 40, 50, 75, 100)
PER_DECADE, LOWEST = 20, -4  # levels of the table: 20 per decade, from 10^-4 to 1


def levels() -> list[float]:
    """Return the levels of the table in ascending order, rounded as they are printed."""
    steps = range(LOWEST * PER_DECADE, 1)
    return [float(f"{10 ** (step / PER_DECADE):.6g}") for step in steps]


def prefix_p_values(gains: Floats) -> Iterator[tuple[int, Floats]]:
    """Yield (k, one-sided p-values of each row's first k gains) for k = 3, 4, …"""
    total, squares = gains[:, :2].sum(axis=1), (gains[:, :2] ** 2).sum(axis=1)
    for k in range(FIRST_LOOK, gains.shape[1] + 1):
        total, squares = total + gains[:, k - 1], squares + gains[:, k - 1] ** 2
        error = np.sqrt(np.maximum(squares - total**2 / k, 1e-300) / (k - 1) / k)
        yield k, special.stdtr(k - 1, -total / k / error)


def draw_statistics(sizes: Sequence[int], draws: int, *seed: str | int) -> npt.NDArray[np.float32]:
    """Draw S from rows of normal gains with mean zero.

    Args:
        sizes: the numbers of pairs N.
        draws: the number of rows.
        seed: names the stream of random numbers.

    Returns:
        S, [sizes, draws].
    """
    found = np.empty((len(sizes), draws), dtype=np.float32)
    rng = np.random.default_rng(derive_seed(*seed))
    for start in range(0, draws, CHUNK):
        rows = min(CHUNK, draws - start)
        least = np.full(rows, math.inf)
        for k, p in prefix_p_values(rng.standard_normal((rows, max(sizes)))):
            np.minimum(least, p / k, out=least)
            if k in sizes:
                found[sizes.index(k), start : start + rows] = least * k
    return found


def quantiles(statistics: npt.NDArray[np.float32]) -> list[float]:
    """Return the quantiles of S for one N at all levels, each lowered by one standard error; 1 at level 1."""
    ordered, draws = np.sort(statistics), statistics.size
    ranks = [level * draws - math.sqrt(draws * level * (1 - level)) for level in levels()]
    return [*(float(ordered[max(0, math.floor(rank) - 1)]) for rank in ranks[:-1]), 1.0]


def write_table(draws: int = DRAWS) -> None:
    """Simulate the table and write it where `suite.verdict.stats.sequential` reads it."""
    columns = [quantiles(one) for one in draw_statistics(SIZES, draws, "null table")]
    with TABLE.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["p", *SIZES])
        for row, level in enumerate(levels()):
            writer.writerow([f"{level:g}", *(_rounded_down(column[row]) for column in columns)])


def _rounded_down(value: float) -> str:
    """Round down to five significant digits."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 4)
    return f"{math.floor(value / unit + 1e-6) * unit:.5g}"


if __name__ == "__main__":
    write_table()

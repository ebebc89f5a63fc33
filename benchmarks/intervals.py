"""Simulates the coverage of the crossed interval and of the summary over cells. Part of `benchmarks.sequential`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
from scipy.special import ndtr
from scipy.stats import binom

from benchmarks.documents import markdown, percent
from benchmarks.rows import Row
from benchmarks.verdicts import IMAGE_PAIRS, IMAGES, SOURCES, Figures
from suite.store.canonical import derive_seed
from suite.verdict.stats.crossed import crossed_interval
from suite.verdict.stats.gains import paired_gain
from suite.verdict.stats.several_cells import several_cells

CELLS = (4, 6, 10, 20)
# Standard deviations of the gain in points: (between cells, between architectures).
SPREADS = {"cells": (0.7, 0.0), "cells and architectures": (0.5, 0.5)}
_DIFFICULTY, _SEED, _LEVEL, _STEP = 1.5, 0.1, 1.0, 0.1


def simulate(draws: int) -> Figures:
    """Simulate the coverage, from `draws` contrasts on 1,000 images and ten times as many tables of cells."""
    return {"interval_draws": draws, "crossed": list(crossed(draws)), "cells": list(cells(10 * draws))}


def crossed(draws: int) -> Iterator[Figures]:
    """Simulate how often intervals contain the true gain over all seeds and images.

    For image i and seed s, the baseline is correct with probability Φ(1 + a_i + e_s), the treatment with
    Φ(1.1 + a_i + b_i + e_s + g_s): a ~ N(0, 1.5²), e ~ N(0, 0.1²), and b and g by `benchmarks.verdicts.SOURCES`.
    """
    for source, (effect, seed_effect) in SOURCES.items():
        baseline = 1 + _DIFFICULTY**2 + _SEED**2
        higher = (_LEVEL + _STEP) / math.sqrt(baseline + effect**2 + seed_effect**2)
        truth = 100 * float(ndtr(higher) - ndtr(_LEVEL / math.sqrt(baseline)))
        for n in IMAGE_PAIRS:
            rng = np.random.default_rng(derive_seed("crossed", source, n))
            held, plain, below, widths = 0, 0, 0, np.zeros(2)
            for _ in range(draws):
                latent = _LEVEL + rng.normal(0, _DIFFICULTY, IMAGES) + rng.normal(0, _SEED, (n, 1))
                helped = latent + _STEP + rng.normal(0, effect, IMAGES) + rng.normal(0, seed_effect, (n, 1))
                right = [rng.random((n, IMAGES)) < ndtr(one) for one in (latent, helped)]
                differences = right[1].astype(np.int8) - right[0].astype(np.int8)
                found, t = crossed_interval(differences), paired_gain(100 * differences.mean(axis=1))
                held += found.low <= truth <= found.high
                plain += t.low <= truth <= t.high
                widths += (found.high - found.low, t.high - t.low)
                below += found.p_below_floor < 0.01
            yield {"source": source, "pairs": n, "covered": held / draws, "t_covered": plain / draws,
                   "width_to_t": float(widths[0] / widths[1]), "below_floor": below / draws}  # fmt: skip


def cells(draws: int) -> Iterator[Figures]:
    """Simulate how often the mean gain and the next cell's gain lie in their intervals, two cells per architecture."""
    for spread, (cell_sd, architecture_sd) in SPREADS.items():
        for k in CELLS:
            rng = np.random.default_rng(derive_seed("cells", spread, k))
            architectures = [place // 2 for place in range(k)] if architecture_sd else None
            covered = following = 0
            for _ in range(draws):
                shared = rng.normal(0, architecture_sd, k // 2 + 1).repeat(2)
                # The mean over three seeds has noise, whose standard deviation differs between cells.
                noise = rng.normal(0, 1, k + 1) * rng.uniform(0.1, 0.5, k + 1) / math.sqrt(3)
                gains = 1.0 + shared[: k + 1] + rng.normal(0, cell_sd, k + 1) + noise
                found = several_cells(gains[:k].tolist(), architectures)
                covered += found.low <= 1.0 <= found.high
                following += found.next_low <= gains[k] <= found.next_high
            yield {"spread": spread, "cells": k, "covered": covered / draws, "next": following / draws}


def rows(figures: Figures) -> list[Row]:
    """Return the checks: coverage must be at the nominal level, up to a margin for chance."""
    draws = figures["interval_draws"]

    def least(share: float, of: int) -> float:
        return 1 - float(binom.ppf(0.9999, of, 1 - share)) / of

    found = [
        Row(f"crossed interval, {row['pairs']} pairs, gains vary by {row['source']}: covers", row["covered"],
            1 - least(0.025, draws), least(0.93, draws), "")
        for row in figures["crossed"]
    ]  # fmt: skip
    for row in figures["cells"]:
        for name in ("covered", "next"):
            what = f"{row['cells']} cells, gains vary by {row['spread']}: {name}"
            found.append(Row(what, row[name], 1.0, least(0.93, 10 * draws), ""))
    return found


def tables(figures: Figures) -> Mapping[str, str]:
    """Return this module's tables of docs/statistics.md, by name."""
    return {
        "crossed": markdown(
            ("gains vary by", "pairs", "crossed interval", "t interval", "width to t's", "sd below floor"),
            ([row["source"], str(row["pairs"]), percent(row["covered"]), percent(row["t_covered"]),
              f"{row['width_to_t']:.2f}", percent(row["below_floor"])] for row in figures["crossed"]),
        ),
        "cells": markdown(
            ("gains vary by", "cells", "mean covered", "next cell covered"),
            ([row["spread"], str(row["cells"]), percent(row["covered"]), percent(row["next"])]
             for row in figures["cells"]),
        ),
    }  # fmt: skip

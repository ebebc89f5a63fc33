"""Simulates factorial experiments with known effects, and counts how often the suite's tests judge them correctly.

`python -m benchmarks.interactions` writes all figures to docs/interactions.json, and from them the tables of
docs/interactions.md. Seeds are fixed: the same code gives the same figures.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats
from scipy.stats import binom

from benchmarks.documents import fill, markdown, percent, write_figures
from benchmarks.rows import Row
from suite.grid.schema import Interactions
from suite.store.canonical import derive_seed
from suite.verdict.interactions import SUM_WORDS, Factorial, analysed
from suite.verdict.stats.blocked import Levels

FACTORIALS = 1_000  # simulated experiments for each figure
SEEDS = (3, 5, 10)
NOISE = 0.4  # points: standard deviation of each run, without the seed's common effect, which cancels
# Further variation: the standard deviation between seeds of one method's gain, in points.
SOURCES = {"nothing else": 0.0, "the gain, by seed": 0.6}
MARGIN, ALPHA = 1.0, 0.05
EXCESSES = (-2.0, -1.0, -0.5, 0.0, 1.0, 2.0)  # points: the joint gain of two methods minus the sum of their gains
THREE = {"join": ("default", "lape"), "norm": ("ln", "dtn"), "loss": ("default", "diversepatch")}
TWO = {axis: levels for axis, levels in THREE.items() if axis != "loss"}

DOCS = Path(__file__).resolve().parents[1] / "docs"
FIGURES, DOCUMENT = DOCS / "interactions.json", DOCS / "interactions.md"

Figures = dict[str, Any]


def factorial(axes: Mapping[str, Levels], accuracy: Callable[[Levels, int], float], seeds: int) -> Factorial:
    """Build a factorial experiment from given accuracies.

    Args:
        axes: the levels of each axis.
        accuracy: returns the accuracy in percent of a cell and a seed.
        seeds: the number of seeds.
    """
    values = {cell: {seed: accuracy(cell, seed) for seed in range(seeds)} for cell in itertools.product(*axes.values())}
    return Factorial({"arch": "simulated"}, axes, values, ())


def simulate(count: int = FACTORIALS) -> Figures:
    """Simulate all figures, each from `count` factorial experiments."""
    return {"factorials": count, "effects": list(effects(count)), "sums": list(sums(count))}


def effects(count: int) -> Iterator[Figures]:
    """Count false positives for a main effect, with three methods that have no effects and no interactions.

    Three tests are compared. The first uses one contrast per seed. The second is a linear model of all runs with seeds
    as blocks. The third uses the normal distribution as a mixed model does; for balanced data its estimates and
    standard errors equal those of the second. Also counted: the coverage of the first test's interval, and how often
    any of the seven effects is significant after Holm's adjustment.
    """
    for source, spread in SOURCES.items():
        for seeds in SEEDS:
            rng = _rng("effects", source, seeds)
            seen, holm, covered = Counter[str](), 0, 0
            for _ in range(count):
                (found,) = analysed([factorial(THREE, _without_effect(rng, spread, seeds), seeds)])
                one = next(effect for effect in found.effects if effect.levels == {"norm": "dtn"})
                assert one.pooled is not None
                seen["contrasts"] += one.p < ALPHA
                seen["blocked"] += one.pooled.p < ALPHA
                seen["mixed"] += _normal(one.pooled.p, residual=7 * (seeds - 1)) < ALPHA
                covered += one.gain.low <= 0 <= one.gain.high
                holm += any(effect.p_adjusted < ALPHA for effect in found.effects)
            shares = {name: seen[name] / count for name in ("contrasts", "blocked", "mixed")}
            yield {"source": source, "seeds": seeds, **shares, "covered": covered / count, "any_by_holm": holm / count}


def _without_effect(rng: np.random.Generator, spread: float, seeds: int) -> Callable[[Levels, int], float]:
    level, gain = rng.normal(0, 2, seeds), rng.normal(0, spread, seeds)

    def accuracy(cell: Levels, seed: int) -> float:
        return float(50 + level[seed] + gain[seed] * ("dtn" in cell) + rng.normal(0, NOISE))

    return accuracy


def _normal(p: float, residual: int) -> float:
    """Convert a two-sided p-value of a t statistic to the one that the normal distribution gives."""
    return float(2 * stats.norm.sf(stats.t.isf(p / 2, residual)))


def sums(count: int) -> Iterator[Figures]:
    """Count the verdicts on the sum of two methods of +1 point each, by the joint gain beyond the sum."""
    test = Interactions(margin=MARGIN, alpha=ALPHA)
    for excess in EXCESSES:
        for seeds in SEEDS:
            rng, words = _rng("sums", excess, seeds), Counter[str]()
            for _ in range(count):
                (found,) = analysed([factorial(TWO, _together(rng, excess, seeds), seeds)], test)
                words[found.sums[0].word] += 1
            yield {"excess": excess, "seeds": seeds, **{word: words[word] / count for word in SUM_WORDS}}


def _together(rng: np.random.Generator, excess: float, seeds: int) -> Callable[[Levels, int], float]:
    level = rng.normal(0, 2, seeds)

    def accuracy(cell: Levels, seed: int) -> float:
        gains = ("lape" in cell) + ("dtn" in cell) + excess * (cell == ("lape", "dtn"))
        return float(50 + level[seed] + gains + rng.normal(0, NOISE))

    return accuracy


def _rng(*parts: float | str) -> np.random.Generator:
    return np.random.default_rng(derive_seed(*parts))


def rows(figures: Figures) -> list[Row]:
    """Return the checks: each simulated rate beside a bound that chance exceeds once in 1,000."""
    count: int = figures["factorials"]

    def at_most(share: float, settings: int = 1) -> float:
        return float(binom.ppf(1 - 0.001 / settings, count, share)) / count

    found = []
    for row in figures["effects"]:
        name = f"{row['seeds']} seeds, {row['source']} varies"
        found += [
            Row(f"an effect wrongly seen, {name}", row["contrasts"], at_most(ALPHA, 6)),
            Row(f"95 % interval covers, {name}", row["covered"], 1.0, 1 - at_most(0.05, 6)),
            Row(f"any of seven wrongly seen by Holm, {name}", row["any_by_holm"], at_most(ALPHA, 6)),
        ]
    for row in figures["sums"]:
        name = f"{row['seeds']} seeds, {row['excess']:+g} beyond the sum"
        if abs(row["excess"]) >= MARGIN:
            found.append(Row(f"'adds up', {name}", row["adds up"], at_most(ALPHA, 12)))
        if row["excess"] == 0:
            wrong = row["less than the sum"] + row["more than the sum"]
            found.append(Row(f"'less' or 'more', {name}", wrong, at_most(ALPHA, 3)))
    return [row._replace(unit="") for row in found]


def tables(figures: Figures) -> Mapping[str, str]:
    """Return the tables of docs/interactions.md, by name, in Markdown."""
    names = ("contrasts", "blocked", "mixed", "covered", "any_by_holm")
    return {
        "effects": markdown(
            ("beside runs varies", "seeds", "contrasts by seed", "blocked model", "mixed model", "interval covers",
             "any of 7, by Holm"),
            ([row["source"], str(row["seeds"]), *(percent(row[name]) for name in names)]
             for row in figures["effects"]),
        ),
        "sums": markdown(
            ("beyond the sum", "seeds", *SUM_WORDS[:-1]),
            ([f"{row['excess']:+g}", str(row["seeds"]), *(percent(row[word]) for word in SUM_WORDS[:-1])]
             for row in figures["sums"]),
        ),
    }  # fmt: skip


if __name__ == "__main__":
    whole = simulate()
    write_figures(FIGURES, whole)
    fill(DOCUMENT, tables(whole))

"""Simulate factorials whose truth is known, and count how often their effects and sums are judged rightly.

`python -m benchmarks.interactions` writes all figures to docs/interactions.json, and the tables of docs/interactions.md
from them. Seeds are fixed: the same code gives the same figures.
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

FACTORIALS = 1_000  # simulated for each figure
SEEDS = (3, 5, 10)
NOISE = 0.4  # points: standard deviation of each run, beside the seed's own level, which cancels
# What else varies: by how much the gain of one method differs from seed to seed, in points.
SOURCES = {"nothing else": 0.0, "the gain, by seed": 0.6}
MARGIN, ALPHA = 1.0, 0.05
EXCESSES = (-2.0, -1.0, -0.5, 0.0, 1.0, 2.0)  # what two methods gain together beyond their sum, in points
THREE = {"join": ("default", "lape"), "norm": ("ln", "dtn"), "loss": ("default", "diversepatch")}
TWO = {axis: levels for axis, levels in THREE.items() if axis != "loss"}

DOCS = Path(__file__).resolve().parents[1] / "docs"
FIGURES, DOCUMENT = DOCS / "interactions.json", DOCS / "interactions.md"

Figures = dict[str, Any]


def factorial(axes: Mapping[str, Levels], accuracy: Callable[[Levels, int], float], seeds: int) -> Factorial:
    """Runs with these accuracies, percent, by cell and seed."""
    values = {cell: {seed: accuracy(cell, seed) for seed in range(seeds)} for cell in itertools.product(*axes.values())}
    return Factorial({"arch": "simulated"}, axes, values, ())


def simulate(count: int = FACTORIALS) -> Figures:
    """All figures, each from so many simulated factorials."""
    return {"factorials": count, "effects": list(effects(count)), "sums": list(sums(count))}


def effects(count: int) -> Iterator[Figures]:
    """How often a main effect that isn't there is seen, of three methods without any effect or interaction.

    By the contrasts of the seeds; by one model of all runs with seeds as blocks; and by that of a mixed model, whose
    estimates and errors are the same where the data are balanced, with its normal distribution. Also how often the
    first's interval holds the truth, and how often any of the seven effects is seen after Holm's adjustment.
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
    """The two-sided p-value of the same statistic, if it were normal."""
    return float(2 * stats.norm.sf(stats.t.isf(p / 2, residual)))


def sums(count: int) -> Iterator[Figures]:
    """How often each word falls, by what two methods, of +1 point each, gain together beyond their sum."""
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
    """What must hold, beside how it came out: what chance exceeds once in 1,000."""
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
    """The tables of docs/interactions.md, by name, in Markdown."""
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

"""Judges runs of known truth by `suite.verdict.judge`, as a user who looks after each pair does.

`python -m benchmarks.known_truth [PART …]` writes the figures to docs/known_truth.json, and fills the tables of
docs/statistics.md from them (some fifteen minutes of one core in all). Seeds are fixed: the same code gives the same
figures. Where `benchmarks.sequential` simulates the tests alone, this goes all the way from records to words.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
from scipy.stats import binom

from benchmarks import doubtful_gains, until_decided
from benchmarks.documents import add_parts, chosen_parts, fill, markdown, percent, read_figures, write_figures
from benchmarks.known_runs import (
    ALPHA,
    CLAIMED,
    FAMILY,
    GAIN_WORDS,
    LARGEST,
    MARGIN,
    claims,
    judged,
    looks,
    random_numbers,
)
from benchmarks.rows import Row
from benchmarks.verdicts import DOCS, DOCUMENT, Figures
from suite.verdict.paper_level import paper_answers
from suite.verdict.rules import SMALLER_LEVEL

FIGURES = DOCS / "known_truth.json"
CLAIMS = 1_000  # simulated claims for each figure


class Family(NamedTuple):
    """Ten claims of one truth.

    Args:
        truth: what is true, for the table.
        gain: the true gain in points.
        sd: the standard deviation of the gains.
        wrong: the words that are wrong there.
        level: how often a single claim may be given one of them; None: α holds for any of the ten.
    """

    truth: str
    gain: float
    sd: float
    wrong: tuple[str, ...]
    level: float | None = None


FAMILIES = (
    Family("no gain", 0.0, 1.0, GAIN_WORDS),
    Family("a gain at the lower end of the margin", CLAIMED - MARGIN, 0.2, ("confirmed",), ALPHA),
    Family("a gain at the upper end of the margin", CLAIMED + MARGIN, 0.2, ("confirmed",), ALPHA),
    Family("a gain at the lower end of the margin", CLAIMED - MARGIN, 1.0, ("contradicted",), SMALLER_LEVEL),
)
# True gains in standard deviations of single claims; the claimed gain is the true one, where there is one.
EFFECTS = (0.0, 0.5, 1.0, 2.0)
TENTHS = (5, 10, 20, 40, 80)  # numbers of pairs at a tenth of the claimed gain
CELLS = (6, 10)


def families(number: int) -> Iterator[Figures]:
    """How often any of ten claims is ever given a wrong word, if all are looked at after each pair."""
    count = number // FAMILY
    for family in FAMILIES:
        rng = random_numbers("families", family.truth, family.sd)
        gains = rng.normal(family.gain, family.sd, (count * FAMILY, LARGEST))
        ever = np.zeros(count * FAMILY, dtype=bool)
        for _, verdicts in looks(gains, claims(count * FAMILY, FAMILY)):
            ever |= [verdict.word in family.wrong for verdict in verdicts]
        yield {
            "truth": family.truth, "sd": family.sd, "wrong": " or ".join(family.wrong), "families": count,
            "any": float(ever.reshape(count, FAMILY).any(axis=1).mean()), "each": float(ever.mean()),
        }  # fmt: skip


def last_looks(number: int) -> Iterator[Figures]:
    """The first of the families by its last look alone, which is enough: a gain that was seen once stays seen."""
    family, count = FAMILIES[0], number // FAMILY
    gains = random_numbers("last looks").normal(family.gain, family.sd, (count * FAMILY, LARGEST))
    verdicts = judged(gains, claims(count * FAMILY, FAMILY))
    wrong = np.array([verdict.word in family.wrong for verdict in verdicts])
    yield {
        "truth": f"{family.truth}, by the last look", "sd": family.sd, "wrong": " or ".join(family.wrong),
        "families": count, "any": float(wrong.reshape(count, FAMILY).any(axis=1).mean()), "each": float(wrong.mean()),
    }  # fmt: skip


def singles(number: int) -> Iterator[Figures]:
    """Claims on their own: how often and when a gain is found, and what the interval at the stop covers.

    A claim stops at the first look that shows a gain or a loss, and at the largest number of pairs at the latest.
    """
    for effect in EFFECTS:
        sd = CLAIMED / effect if effect else 1.0
        truth = CLAIMED if effect else 0.0
        gains = random_numbers("singles", effect).normal(truth, sd, (number, LARGEST))
        stop, found = np.full(number, LARGEST), np.zeros(number, dtype=bool)
        covered, going = np.zeros(number, dtype=bool), np.ones(number, dtype=bool)
        for pairs, verdicts in looks(gains, claims(number)):
            for place in np.flatnonzero(going):
                word, evidence = verdicts[place].word, verdicts[place].evidence
                assert evidence is not None
                shown = word in GAIN_WORDS or evidence.p_negative_adjusted < ALPHA
                if shown or pairs == LARGEST:
                    stop[place], found[place], going[place] = pairs, word in GAIN_WORDS, False
                    covered[place] = evidence.interval.low <= truth <= evidence.interval.high
        yield {"effect": effect, "found": float(found.mean()), "pairs": float(stop.mean()),
               "covered": float(covered.mean())}  # fmt: skip


def tenth(number: int) -> Iterator[Figures]:
    """A tenth of the claimed gain: how often a single look says that it is smaller than claimed, or contradicts it."""
    for pairs in TENTHS:
        gains = random_numbers("tenth", pairs).normal(CLAIMED / 10, 1.0, (number, pairs))
        verdicts = judged(gains, claims(number, most=None))
        words = Counter(verdict.word for verdict in verdicts)
        smaller = sum(verdict.smaller or verdict.word == "contradicted" for verdict in verdicts)
        yield {"pairs": pairs, "smaller": smaller / number, "confirmed": words["confirmed"] / number}


def papers(number: int) -> Iterator[Figures]:
    """What a table's claims say together: how often its intervals hold the mean over all cells, and the next cell's."""
    for cells in CELLS:
        rng = random_numbers("papers", cells)
        count = 10 * number // cells
        truths = rng.normal(CLAIMED, 0.7, (count, cells + 1))
        observed = truths[..., None] + rng.normal(0, 0.5, (count, cells + 1, 5))
        asked = claims(count * cells, cells, most=None)
        answers = paper_answers(judged(observed[:, :cells].reshape(-1, 5), asked))
        each = [answer.cells for answer in answers]
        upcoming = observed[:, cells].mean(axis=1)
        yield {
            "cells": cells, "tables": len(each),
            "mean": float(np.mean([one.low <= CLAIMED <= one.high for one in each])),
            "next": float(np.mean([one.next_low <= new <= one.next_high
                                   for one, new in zip(each, upcoming, strict=True)])),
        }  # fmt: skip


# The parts: name → how many claims, families or tables each figure of it is simulated from, by `CLAIMS`; and how.
PARTS: dict[str, tuple[float, Callable[[int], Iterator[Figures]]]] = {
    "families": (2, families),
    "last_looks": (20, last_looks),
    "singles": (1, singles),
    "tenth": (1, tenth),
    "papers": (3, papers),
    "greedy": (1 / 60, until_decided.greedy),
    "skewed": (1, doubtful_gains.skewed),
    "copies": (1 / 20, doubtful_gains.copies),
}


def simulate(names: Iterable[str] = PARTS, number: int = CLAIMS) -> Figures:
    """Simulate the named parts; most of their figures are of `number` claims each."""
    found: Figures = {}
    for name in names:
        share, part = PARTS[name]
        found[name] = list(part(max(1, round(share * number))))
    return found


def rows(figures: Figures) -> list[Row]:
    """The checks: each rate beside its bound, with what chance exceeds once in 10,000."""
    number = figures["claims"]
    levels = {(family.truth, family.sd): family.level for family in FAMILIES}
    found = []
    for row in [*figures["families"], *figures["last_looks"]]:
        name, level = f"{row['truth']}, sd {row['sd']:g}: ever {row['wrong']}", levels.get((row["truth"], row["sd"]))
        of, each = row["families"], FAMILY * row["families"]
        if level is None:
            found.append(Row(f"{name}, any of {FAMILY}", row["any"], _at_most(ALPHA, of)))
        else:
            found.append(Row(f"{name}, any of {FAMILY}", row["any"], _at_most(1 - (1 - level) ** FAMILY, of)))
            found.append(Row(f"{name}, each", row["each"], _at_most(level, each)))
    for row in figures["singles"]:
        name = f"true gain {row['effect']:g} sd"
        found.append(Row(f"{name}: covered at the stop", row["covered"], 1.0, _at_least(1 - ALPHA, number)))
        if row["effect"] == 0:
            found.append(Row(f"{name}: a gain found", row["found"], _at_most(ALPHA, number)))
        if row["effect"] >= 1:
            found.append(Row(f"{name}: pairs at the stop", row["pairs"], 10.0 if row["effect"] == 1 else 6.0))
    steps = np.diff([row["smaller"] for row in figures["tenth"]])
    found.append(Row("smaller at a tenth: the least rise from one number of pairs to the next", float(steps.min()), 1.0,
                     -3 / number**0.5))  # fmt: skip
    for row in figures["papers"]:
        of = row["tables"]
        found += [
            Row(f"{row['cells']} cells: the mean covered", row["mean"], _at_most(0.96, of), _at_least(0.94, of)),
            Row(f"{row['cells']} cells: the next cell covered", row["next"], _at_most(0.95, of), _at_least(0.93, of)),
        ]
    found += until_decided.rows(figures) + doubtful_gains.rows(figures, _at_most, number)
    return [row._replace(unit="") for row in found]


def _at_most(share: float, of: int) -> float:
    return float(binom.ppf(0.9999, of, share)) / of


def _at_least(share: float, of: int) -> float:
    return 1 - _at_most(1 - share, of)


def tables(figures: Figures) -> Mapping[str, str]:
    """The tables of docs/statistics.md, by name, in Markdown."""
    return {
        "truth_families": markdown(
            ("truth", "sd", "wrong", "families", "any of ten, ever", "each, ever"),
            ([row["truth"], f"{row['sd']:g}", row["wrong"].replace("_", " "), f"{row['families']:,}",
              percent(row["any"]), percent(row["each"])] for row in [*figures["families"], *figures["last_looks"]]),
        ),
        "truth_singles": markdown(
            ("true gain", "found within 20 pairs", "pairs at the stop", "interval at the stop covers"),
            ([f"{row['effect']:g} sd", percent(row["found"]), f"{row['pairs']:.1f}", percent(row["covered"])]
             for row in figures["singles"]),
        ),
        "truth_tenth": markdown(
            ("pairs", "smaller or contradicted", "confirmed"),
            ([str(row["pairs"]), percent(row["smaller"]), percent(row["confirmed"])] for row in figures["tenth"]),
        ),
        "truth_papers": markdown(
            ("cells", "mean covered", "next cell covered"),
            ([str(row["cells"]), percent(row["mean"]), percent(row["next"])] for row in figures["papers"]),
        ),
        **until_decided.tables(figures),
        **doubtful_gains.tables(figures),
    }  # fmt: skip


def main() -> None:
    """Simulate the named parts, or all, and write the figures and the document's tables."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    add_parts(parser, PARTS)
    figures = read_figures(FIGURES)
    for name in chosen_parts(parser.parse_args().names, PARTS):
        figures |= {"claims": CLAIMS, **simulate([name])}
        write_figures(FIGURES, figures)
    fill(DOCUMENT, tables(figures))


if __name__ == "__main__":
    main()

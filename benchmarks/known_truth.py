"""Judges runs of known truth by `suite.verdict.judge`, as a user who looks after each pair does.

`python -m benchmarks.known_truth` writes the figures to docs/known_truth.json, and fills the tables of
docs/statistics.md that it names (ten minutes of one core). Seeds are fixed: the same code gives the same figures. Where
`benchmarks.sequential` simulates the tests alone, this goes all the way from records to words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import binom

from benchmarks.documents import fill, markdown, percent, write_figures
from benchmarks.rows import Row
from benchmarks.verdicts import DOCS, DOCUMENT, Figures
from suite.store.canonical import derive_seed
from suite.store.record import USUAL_LEVELS
from suite.verdict.claims.claim import Claim
from suite.verdict.paper_level import paper_answers
from suite.verdict.stats.sequential import FIRST_LOOK
from suite.verdict.verdicts import Verdict, judge

Floats = npt.NDArray[np.float64]

FIGURES = DOCS / "known_truth.json"
CLAIMS = 1_000  # simulated claims for each figure
FAMILY, LARGEST, ALPHA = 10, 20, 0.05
CLAIMED, MARGIN = 1.0, 0.5
_GAINS, _LOSSES = ("confirmed", "direction_only"), ("contradicted",)
# Families of ten claims: name → (true gain, standard deviation, the words that are wrong there).
FAMILIES: dict[str, tuple[float, float, tuple[str, ...]]] = {
    "no gain": (0.0, 1.0, _GAINS),
    "a gain at the lower end of the margin": (CLAIMED - MARGIN, 0.2, ("confirmed",)),
    "a gain at the upper end of the margin": (CLAIMED + MARGIN, 0.2, ("confirmed",)),
    "a gain within the margin": (CLAIMED - 0.9 * MARGIN, 1.0, _LOSSES),
}
# True gains in standard deviations of single claims; the claimed gain is the true one, where there is one.
EFFECTS = (0.0, 0.5, 1.0, 2.0)
TENTHS = (5, 10, 20, 40, 80)  # numbers of pairs at a tenth of the claimed gain
CELLS = (6, 10)


def frame(gains: Floats) -> dict[str, list[Any]]:
    """The runs of many claims as columns of `suite.store.load_frame`, without answers to single images.

    Args:
        gains: [claims, pairs].
    """
    claims, pairs = gains.shape
    rows = [(claim, seed, side) for claim in range(claims) for seed in range(pairs) for side in (0, 1)]
    size = len(rows)
    base = [50.0 + 0.1 * (seed % 7) for seed in range(pairs)]
    top1 = [base[seed] + side * float(gains[claim, seed]) for claim, seed, side in rows]
    constant: dict[str, Any] = {
        "grid": "known_truth", "status": "done", "dataset": "simulated", "pe": "learnable", **USUAL_LEVELS,
        "recipe": "simulated", "recipe_id": "simulated", "epochs": 1, "test_images": None, "correct": None,
        "test_loss": None, "environment": "simulated", "error": None, "diverged_step": None, "params": None,
        "macs": None, "train_seconds": None, "images_per_second": None, "peak_memory_mb": None, "started_at": "",
    }  # fmt: skip
    return {
        **{name: [value] * size for name, value in constant.items()},
        "arch": [f"a{claim}" for claim, _, _ in rows],
        "join": ["lape" if side else "default" for _, _, side in rows],
        "seed_index": [seed for _, seed, _ in rows],
        "cell_id": [f"{claim}-{side}" for claim, _, side in rows],
        "trial_id": [f"{claim}-{side}-{seed}" for claim, seed, side in rows],
        "top1": top1,
        "top1_best_epoch": top1,
    }


def claims(number: int, family: int = 1, *, most: int | None = LARGEST, gain: float = CLAIMED) -> list[Claim]:
    """Claims of the cells of `frame`, as if the paper's gain were exact; so many to a family."""
    margin = MARGIN * gain
    return [
        Claim.model_validate(
            {
                "id": f"c{place}", "paper": "none", "version": "none", "table": str(place // family), "row": "any",
                "kind": "published", "published_runs": 1_000_000, "claimed_gain": gain, "margin": margin,
                "alpha": ALPHA, "max_pairs": most, "family": str(place // family), "family_size": family,
                "contrast": {"axis": "join", "baseline": "default", "treatment": "lape",
                             "match": {"arch": f"a{place}"}},
            }
        )
        for place in range(number)
    ]  # fmt: skip


def looks(gains: Floats, asked: Sequence[Claim]) -> Iterator[tuple[int, list[Verdict]]]:
    """The verdicts on all claims after each of their pairs, from the first look that can decide anything."""
    for pairs in range(FIRST_LOOK, gains.shape[1] + 1):
        yield pairs, judge(frame(gains[:, :pairs]), asked)


def simulate(number: int = CLAIMS) -> Figures:
    """Simulate all figures, each from `number` claims; families of ten from twice as many."""
    return {
        "claims": number,
        "families": list(families(2 * number)),
        "singles": list(singles(number)),
        "tenth": list(tenth(number)),
        "papers": list(papers(number)),
    }


def families(number: int) -> Iterator[Figures]:
    """How often any of ten claims is ever given a wrong word, if all are looked at after each pair."""
    count = number // FAMILY
    for name, (gain, sd, wrong) in FAMILIES.items():
        gains = _rng("families", name).normal(gain, sd, (count * FAMILY, LARGEST))
        ever = np.zeros(count * FAMILY, dtype=bool)
        for _, verdicts in looks(gains, claims(count * FAMILY, FAMILY)):
            ever |= [verdict.word in wrong for verdict in verdicts]
        yield {
            "truth": name, "sd": sd, "wrong": " or ".join(wrong), "families": count,
            "any": float(ever.reshape(count, FAMILY).any(axis=1).mean()), "each": float(ever.mean()),
        }  # fmt: skip


def singles(number: int) -> Iterator[Figures]:
    """Claims on their own: how often and when a gain is found, and what the interval at the stop covers.

    A claim stops at the first look that shows a gain or a loss, and at the largest number of pairs at the latest.
    """
    for effect in EFFECTS:
        sd = CLAIMED / effect if effect else 1.0
        truth = CLAIMED if effect else 0.0
        gains = _rng("singles", effect).normal(truth, sd, (number, LARGEST))
        stop, found = np.full(number, LARGEST), np.zeros(number, dtype=bool)
        covered, going = np.zeros(number, dtype=bool), np.ones(number, dtype=bool)
        for pairs, verdicts in looks(gains, claims(number)):
            for place in np.flatnonzero(going):
                word, evidence = verdicts[place].word, verdicts[place].evidence
                assert evidence is not None
                shown = word in _GAINS or evidence.p_negative_adjusted < ALPHA
                if shown or pairs == LARGEST:
                    stop[place], found[place], going[place] = pairs, word in _GAINS, False
                    covered[place] = evidence.interval.low <= truth <= evidence.interval.high
        yield {"effect": effect, "found": float(found.mean()), "pairs": float(stop.mean()),
               "covered": float(covered.mean())}  # fmt: skip


def tenth(number: int) -> Iterator[Figures]:
    """A tenth of the claimed gain: how often a single look says that it is smaller than claimed, or contradicts it."""
    for pairs in TENTHS:
        gains = _rng("tenth", pairs).normal(CLAIMED / 10, 1.0, (number, pairs))
        verdicts = judge(frame(gains), claims(number, most=None))
        words = Counter(verdict.word for verdict in verdicts)
        smaller = sum(verdict.smaller or verdict.word == "contradicted" for verdict in verdicts)
        yield {"pairs": pairs, "smaller": smaller / number, "confirmed": words["confirmed"] / number}


def papers(number: int) -> Iterator[Figures]:
    """What a table's claims say together: how often its intervals hold the mean over all cells, and the next cell's."""
    for cells in CELLS:
        rng = _rng("papers", cells)
        count = 10 * number // cells
        truths = rng.normal(CLAIMED, 0.7, (count, cells + 1))
        observed = truths[..., None] + rng.normal(0, 0.5, (count, cells + 1, 5))
        asked = claims(count * cells, cells, most=None)
        answers = paper_answers(judge(frame(observed[:, :cells].reshape(-1, 5)), asked))
        each = [answer.cells for answer in answers]
        upcoming = observed[:, cells].mean(axis=1)
        yield {
            "cells": cells, "tables": len(each),
            "mean": float(np.mean([one.low <= CLAIMED <= one.high for one in each])),
            "next": float(np.mean([one.next_low <= new <= one.next_high
                                   for one, new in zip(each, upcoming, strict=True)])),
        }  # fmt: skip


def rows(figures: Figures) -> list[Row]:
    """The checks: each rate beside its bound, with what chance exceeds once in 10,000."""
    number = figures["claims"]

    def at_most(share: float, of: int) -> float:
        return float(binom.ppf(0.9999, of, share)) / of

    def at_least(share: float, of: int) -> float:
        return 1 - at_most(1 - share, of)

    found = [
        Row(f"{row['truth']}: ever {row['wrong']}, any of {FAMILY}", row["any"],
            at_most(ALPHA if row["truth"] == "no gain" else 1 - (1 - ALPHA) ** FAMILY, row["families"]))
        for row in figures["families"]
    ]  # fmt: skip
    for row in figures["singles"]:
        name = f"true gain {row['effect']:g} sd"
        found.append(Row(f"{name}: covered at the stop", row["covered"], 1.0, at_least(1 - ALPHA, number)))
        if row["effect"] == 0:
            found.append(Row(f"{name}: a gain found", row["found"], at_most(ALPHA, number)))
        if row["effect"] >= 1:
            found.append(Row(f"{name}: pairs at the stop", row["pairs"], 10.0 if row["effect"] == 1 else 6.0))
    rising = [row["smaller"] for row in figures["tenth"]]
    steps = np.diff(rising)
    found.append(Row("smaller at a tenth: the least rise from one number of pairs to the next", float(steps.min()), 1.0,
                     -3 / number**0.5))  # fmt: skip
    for row in figures["papers"]:
        of = row["tables"]
        found += [
            Row(f"{row['cells']} cells: the mean covered", row["mean"], at_most(0.96, of), at_least(0.94, of)),
            Row(f"{row['cells']} cells: the next cell covered", row["next"], at_most(0.95, of), at_least(0.93, of)),
        ]
    return [row._replace(unit="") for row in found]


def tables(figures: Figures) -> Mapping[str, str]:
    """The tables of docs/statistics.md, by name, in Markdown."""
    return {
        "truth_families": markdown(
            ("truth", "sd", "wrong", "any of ten, ever", "each, ever"),
            ([row["truth"], f"{row['sd']:g}", row["wrong"].replace("_", " "), percent(row["any"]),
              percent(row["each"])] for row in figures["families"]),
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
    }  # fmt: skip


def _rng(*parts: float | str) -> np.random.Generator:
    return np.random.default_rng(derive_seed("known truth", *parts))


if __name__ == "__main__":
    whole = simulate()
    write_figures(FIGURES, whole)
    fill(DOCUMENT, tables(whole))

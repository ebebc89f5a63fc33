"""What copied runs and skewed gains do to the verdicts. Parts of `benchmarks.known_truth`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from benchmarks.documents import markdown, percent
from benchmarks.known_runs import GAIN_WORDS, LARGEST, Floats, claims, frame, judged, looks, random_numbers
from benchmarks.rows import Row
from benchmarks.verdicts import Figures
from suite.errors import InputError
from suite.store.record import pack_bits
from suite.verdict.verdicts import Verdict, judge

COPIES = (2, 3, 5, 10, 20)  # how often one pair is counted
IMAGES = 1_000
SINGLE = (5, 10, 20)  # pairs of a single look

Draw = Callable[[np.random.Generator, tuple[int, int]], Floats]

# Distributions of gains whose mean is zero, in standard deviations of the normal part.
NO_GAIN: dict[str, Draw] = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "exponential, tail below": lambda rng, shape: 1 - rng.exponential(1, shape),
    "one seed in ten 4 sd lower": lambda rng, shape: rng.standard_normal(shape) - 4 * (rng.random(shape) < 0.1) + 0.4,
}


def skewed(number: int) -> Iterator[Figures]:
    """Single claims without a gain: how often one is seen, and how often a caveat then tells of the gains' shape."""
    for shape, draw in NO_GAIN.items():
        gains = draw(random_numbers("skewed", shape), (number, LARGEST))
        asked = claims(number, most=None)
        for pairs in SINGLE:
            yield _skewed(shape, f"one look at {pairs} pairs", judged(gains[:, :pairs], asked))
        last: list[Verdict] = []
        for _, verdicts in looks(gains, claims(number)):
            # A claim stops at its first gain, and keeps that verdict.
            last = [old if old.word in GAIN_WORDS else new for old, new in zip(last or verdicts, verdicts, strict=True)]
        yield _skewed(shape, f"sequential, up to {LARGEST} pairs", last)


def _skewed(shape: str, rule: str, verdicts: list[Verdict]) -> Figures:
    wrong = [verdict for verdict in verdicts if verdict.word in GAIN_WORDS]
    told = sum(any("skewed" in caveat or "far from the others" in caveat for caveat in one.caveats) for one in wrong)
    return {"gains": shape, "rule": rule, "found": len(wrong) / len(verdicts), "wrong": len(wrong), "told": told}


def copies(number: int) -> Iterator[Figures]:
    """One pair counted several times, and honest runs that share only their answers: how often they are refused."""
    rng = random_numbers("copies")
    gains = rng.normal(1.0, 0.5, number)
    for times in COPIES:
        for kind in ("copies", "same answers"):
            refused = words = 0
            for gain in gains:
                runs = _counted_often(float(gain), times, rng, copied=kind == "copies")
                try:
                    verdicts = [*judge(runs, claims(1)), *judge(runs, claims(1, most=None))]
                except InputError:
                    refused += 1
                else:
                    words += any(verdict.word in GAIN_WORDS for verdict in verdicts)
            yield {"kind": kind, "times": times, "refused": refused / number, "gains": words / number}


def _counted_often(gain: float, times: int, rng: np.random.Generator, *, copied: bool) -> dict[str, list[Any]]:
    """A frame of one pair, counted so often under other seeds; each run has its answers and its last test loss."""
    runs = frame(np.zeros((1, times)))
    right = [np.sort(rng.random(IMAGES)) < share for share in (0.6, 0.6 + gain / 100)]
    losses = rng.random((times, 2))
    runs["test_images"] = [IMAGES] * 2 * times
    runs["correct"] = [pack_bits(one) for one in right] * times
    runs["top1"] = runs["top1_best_epoch"] = [100 * float(one.mean()) for one in right] * times
    runs["test_loss"] = [float(losses[0 if copied else place, side]) for place in range(times) for side in (0, 1)]
    return runs


def rows(figures: Figures, at_most: Callable[[float, int], float], number: int) -> list[Row]:
    """The checks: copies are always refused, shared answers never; without skew α holds."""
    found = [
        Row(f"{row['kind']}, {row['times']} times: refused", row["refused"], *((1.0, 1.0) if row["kind"] == "copies"
            else (0.0, 0.0))) for row in figures["copies"]
    ]  # fmt: skip
    return found + [
        Row(f"a gain seen, {row['gains']}, {row['rule']}", row["found"], at_most(0.05, number))
        for row in figures["skewed"]
        if row["gains"] == "normal"
    ]


def tables(figures: Figures) -> Mapping[str, str]:
    """The tables of these parts in docs/statistics.md, by name."""
    rules = list(dict.fromkeys(row["rule"] for row in figures["skewed"]))
    by_rule = {(row["gains"], row["rule"]): row for row in figures["skewed"]}

    def cell(row: Figures) -> str:
        return percent(row["found"]) + (f", told of {row['told']} of {row['wrong']}" if row["wrong"] else "")

    return {
        "truth_skewed": markdown(
            ("gains", *rules), ([shape, *(cell(by_rule[shape, rule]) for rule in rules)] for shape in NO_GAIN)
        ),
        "truth_copies": markdown(
            ("runs", "times", "refused"),
            ([row["kind"], str(row["times"]), percent(row["refused"])] for row in figures["copies"]),
        ),
    }

"""Simulates repeated looks at claims whose truth is known, and counts how often the verdicts are wrong.

`python -m benchmarks.sequential` writes the figures to docs/sequential.json, and from them the section "Looking again"
of docs/statistics.md (about two CPU minutes). Seeds are fixed: the same code gives the same figures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit
from scipy.stats import binom

from benchmarks import greedy, intervals
from benchmarks.documents import fill, markdown, percent, write_figures
from benchmarks.null_table import prefix_p_values as simulated_p_values
from benchmarks.rows import Row
from benchmarks.verdicts import DOCS, DOCUMENT, Figures
from suite.store.canonical import derive_seed
from suite.verdict.stats.e_process import log_e_values
from suite.verdict.stats.sequential import FIRST_LOOK, critical_constant, critical_t, prefix_p_values

Floats = npt.NDArray[np.float64]

FIGURES = DOCS / "sequential.json"
DRAWS = 40_000
ALPHA, LARGEST, FAMILY = 0.05, 20, 10
_PAIRS = np.arange(1, LARGEST + 1)


def _normal(rng: np.random.Generator, draws: int, mean: float = 0.0) -> Floats:
    return rng.normal(mean, 1.0, (draws, LARGEST))


def _collapsing(rng: np.random.Generator, draws: int) -> Floats:
    """Draw gains with mean zero, of which a tenth are 4 standard deviations lower than the others."""
    return rng.standard_normal((draws, LARGEST)) - 4 * (rng.random((draws, LARGEST)) < 0.1) + 0.4


# Distributions of gains in standard deviations: name → (whether the mean is positive, function that draws gains).
GAINS: dict[str, tuple[bool, Callable[[np.random.Generator, int], Floats]]] = {
    "none": (False, _normal),
    "0.5 sd": (True, lambda rng, draws: _normal(rng, draws, 0.5)),
    "1 sd": (True, lambda rng, draws: _normal(rng, draws, 1.0)),
    "2 sd": (True, lambda rng, draws: _normal(rng, draws, 2.0)),
    "none, t with 3 degrees of freedom": (False, lambda rng, draws: rng.standard_t(3, (draws, LARGEST))),
    "none, in steps of 0.5 sd": (False, lambda rng, draws: np.round(2 * _normal(rng, draws)) / 2),
    "none, skewed (exponential, tail below)": (False, lambda rng, draws: 1 - rng.exponential(1, (draws, LARGEST))),
    "none, one seed in ten 4 sd lower": (False, _collapsing),
}
SYMMETRIC = ("none", "none, t with 3 degrees of freedom", "none, in steps of 0.5 sd")


def _single(n: int) -> Callable[[Floats], Floats]:
    return lambda gains: np.where(n == _PAIRS, prefix_p_values(gains), 1.0)


def _sequential(gains: Floats) -> Floats:
    """Return values that are at most α where the sequential rule decides.

    They are the p-values of the prefixes, relative to the table's critical value, scaled to α.
    """
    return prefix_p_values(gains) * ALPHA / (critical_constant(LARGEST, ALPHA) * _PAIRS / LARGEST)


# Rules: name → function that returns p-values after each pair. The first p-value that is at most α decides.
RULES: dict[str, Callable[[Floats], Floats]] = {
    "5 pairs, one look": _single(5),
    "10 pairs, one look": _single(10),
    "20 pairs, one look": _single(20),
    "20 pairs, uncorrected looks": prefix_p_values,
    "20 pairs, sequential": _sequential,
    "20 pairs, e-process": lambda gains: np.exp(-log_e_values(gains)),
}
CORRECTED = [name for name in RULES if "uncorrected" not in name]


def simulate(draws: int = DRAWS) -> Figures:
    """Simulate all figures, each from `draws` claims; the slower simulations use fewer."""
    return {
        "draws": draws,
        "looks": list(looks(draws)),
        "table": list(table(10 * draws)),
        "families": list(families(draws // 4)),
        "stopping": list(stopping(draws)),
        "margins": list(margins(draws)),
        **greedy.simulate(max(3, draws // 200)),
        **intervals.simulate(max(20, draws // 40)),
    }


def looks(draws: int) -> Iterator[Figures]:
    """Simulate how often each rule finds a gain within 20 pairs, and the average number of pairs when it stops."""
    for gains, (real, draw) in GAINS.items():
        rows = draw(_rng("looks", gains), draws)
        for rule, p_values in RULES.items():
            found = p_values(rows) <= ALPHA
            any_found = found.any(axis=1)
            last = int(rule.split()[0])
            pairs = np.where(any_found, found.argmax(axis=1) + 1, last)
            yield {"gains": gains, "real": real, "rule": rule, "found": float(any_found.mean()),
                   "pairs": float(pairs.mean())}  # fmt: skip


def table(draws: int) -> Iterator[Figures]:
    """Check the table's quantiles with independent draws: how often S is at most a quantile."""
    for largest in (5, 10, 20, 30, 50, 100):
        rng, levels = _rng("check of the table", largest), (0.05, 0.025, 0.005, 0.001)
        constants, below = [critical_constant(largest, level) for level in levels], np.zeros(len(levels))
        for start in range(0, draws, 20_000):
            rows = min(20_000, draws - start)
            least = np.full(rows, math.inf)
            for k, p in simulated_p_values(rng.standard_normal((rows, largest))):
                np.minimum(least, p * largest / k, out=least)
            below += [float((least <= constant).sum()) for constant in constants]
        for level, constant, count in zip(levels, constants, below, strict=True):
            yield {"largest": largest, "level": level, "constant": constant, "found": float(count) / draws}


def families(draws: int) -> Iterator[Figures]:
    """Simulate ten claims with Holm's adjustment, tested after each seed: false positives, and real gains found."""
    ranks = np.arange(FAMILY, 0, -1)
    constants = np.array([critical_constant(LARGEST, ALPHA / rank) for rank in ranks])
    for real, effect in ((0, 0.0), (5, 1.0), (5, 2.0), (9, 1.0)):
        gains = _rng("families", real, effect).standard_normal((draws, FAMILY, LARGEST))
        gains[:, :real] += effect
        p = prefix_p_values(gains)
        least = np.minimum.accumulate(p * LARGEST / _PAIRS, axis=2)
        found = _holm(least, constants)
        yield _family("sequential", real, effect, found, LARGEST)
        yield _family("uncorrected looks", real, effect, _holm(p, ALPHA / ranks), LARGEST)
        for n in (5, 10, 20):
            single = _holm(p[:, :, n - 1 : n], ALPHA / ranks)
            yield _family(f"{n} pairs, one look", real, effect, single, n)


def _holm(p: Floats, thresholds: Floats) -> npt.NDArray[np.bool_]:
    """Return which claims are significant after Holm's adjustment at each look, [draws, claims, looks]."""
    order = np.argsort(p, axis=1)
    small = np.asarray(np.take_along_axis(p, order, 1) <= thresholds[:, None])
    kept = np.logical_and.accumulate(small, axis=1)
    found = np.zeros(p.shape, dtype=np.bool_)
    np.put_along_axis(found, order, kept, axis=1)
    return found


def _family(rule: str, real: int, effect: float, found: npt.NDArray[np.bool_], last: int) -> Figures:
    ever: npt.NDArray[np.bool_] = np.asarray(found.any(axis=2))
    first = found.argmax(axis=2) + 1 if found.shape[2] > 1 else np.full(ever.shape, last)
    pairs = np.where(ever, first, last)
    return {
        "rule": rule,
        "real": real,
        "effect": effect,
        "any_wrong": float(ever[:, real:].any(axis=1).mean()),
        "real_found": float(ever[:, :real].mean()) if real else None,
        "pairs": float(pairs[:, :real].mean()) if real else None,
    }


def stopping(draws: int) -> Iterator[Figures]:
    """Simulate the coverage of 95 % intervals when sampling stops at a decision on either side, or at 20 pairs."""
    constant = critical_constant(LARGEST, ALPHA / 2)
    repeated = np.array([critical_t(n, LARGEST, ALPHA / 2) for n in range(1, LARGEST + 1)])
    plain = np.asarray(stdtrit(np.maximum(_PAIRS - 1, 1), 1 - ALPHA / 2), dtype=np.float64)
    for effect in (0.0, 0.5, 1.0, 2.0):
        gains = _normal(_rng("stopping", effect), draws, effect)
        p = prefix_p_values(gains)
        decided = np.minimum(p, np.where(_PAIRS < FIRST_LOOK, 1.0, 1 - p)) <= constant * _PAIRS / LARGEST
        stop = np.where(decided.any(axis=1), decided.argmax(axis=1), LARGEST - 1)
        at = np.arange(draws), stop
        means = np.cumsum(gains, axis=1)[at] / (stop + 1)
        squares = np.cumsum(gains**2, axis=1)[at] - (stop + 1) * means**2
        off = np.abs(means - effect) / np.sqrt(squares / stop / (stop + 1))
        yield {"effect": effect, "repeated": float((off <= repeated[stop]).mean()),
               "plain": float((off <= plain[stop]).mean()), "pairs": float(stop.mean() + 1)}  # fmt: skip


def margins(draws: int) -> Iterator[Figures]:
    """Simulate a claim of 1 ± 0.5 with true gains at the margin's ends, tested after each seed.

    Counted are the wrong verdicts "within the margin" and "smaller".
    """
    limits = critical_constant(LARGEST, ALPHA) * _PAIRS / LARGEST
    for sd in (0.2, 0.5):
        rng = _rng("margins", sd)
        for gain in (0.5, 1.0, 1.5):
            rows = rng.normal(gain, sd, (draws, LARGEST))
            above, below = prefix_p_values(rows, 0.5), prefix_p_values(rows, 1.5, "less")
            smaller = prefix_p_values(rows, 0.5, "less")
            rules: tuple[tuple[str, Floats], ...] = (
                ("sequential", limits), ("uncorrected looks", np.full(LARGEST, ALPHA)),
            )  # fmt: skip
            for rule, allowed in rules:
                ends = [np.asarray(p <= allowed) for p in (above, below)]
                if rule == "sequential":  # an end that was excluded once stays excluded
                    ends = [np.logical_or.accumulate(end, axis=1) for end in ends]
                yield {"sd": sd, "gain": gain, "rule": rule,
                       "within": float((ends[0] & ends[1]).any(axis=1).mean()),
                       "smaller": float((smaller <= allowed).any(axis=1).mean())}  # fmt: skip


def _rng(*parts: float | str) -> np.random.Generator:
    return np.random.default_rng(derive_seed("sequential", *parts))


def rows(figures: Figures) -> list[Row]:
    """Return the checks: each simulated rate beside its theoretical bound plus what chance exceeds once in 1,000."""
    draws = figures["draws"]

    def at_most(share: float, of: int = draws) -> float:
        return float(binom.ppf(0.9999, of, share)) / of

    found = [
        Row(f"a gain seen, {row['gains']}, {row['rule']}", row["found"], at_most(ALPHA))
        for row in figures["looks"]
        if row["gains"] in SYMMETRIC and row["rule"] in CORRECTED
    ]
    found += [
        Row(f"S of {row['largest']} pairs below its quantile at {row['level']:g}", row["found"],
            at_most(row["level"], 10 * draws), 1 - at_most(1 - 0.97 * row["level"], 10 * draws))
        for row in figures["table"]
    ]  # fmt: skip
    found += [
        Row(f"a gain wrongly seen in any of {FAMILY}, {row['real']} real, {row['rule']}", row["any_wrong"],
            at_most(ALPHA, draws // 4))
        for row in figures["families"] if "uncorrected" not in row["rule"]
    ]  # fmt: skip
    found += [
        Row(f"repeated interval at the stop, {row['effect']:g} sd: covers", row["repeated"], 1.0,
            1 - at_most(ALPHA))
        for row in figures["stopping"]
    ]  # fmt: skip
    for row in figures["margins"]:
        if row["rule"] == "sequential" and row["gain"] != 1.0:
            found.append(
                Row(f"'within the margin' at {row['gain']:g}, sd {row['sd']:g}", row["within"], at_most(ALPHA))
            )
        if row["rule"] == "sequential":
            found.append(Row(f"'smaller' at {row['gain']:g}, sd {row['sd']:g}", row["smaller"], at_most(ALPHA)))
    return [row._replace(unit="") for row in found] + greedy.rows(figures) + intervals.rows(figures)


def tables(figures: Figures) -> Mapping[str, str]:
    """Return the tables of the section "Looking again" of docs/statistics.md, by name, in Markdown."""
    by_rule: dict[str, dict[str, Figures]] = {}
    for row in figures["looks"]:
        by_rule.setdefault(row["rule"], {})[row["gains"]] = row

    def cell(row: Figures) -> str:
        looked = "one look" not in row["rule"]
        return percent(row["found"]) + (f" at {row['pairs']:.1f}" if looked and row["real"] else "")

    return {
        "looks": markdown(
            ("true gain", *RULES),
            ([gains, *(cell(by_rule[rule][gains]) for rule in RULES)] for gains in GAINS),
        ),
        "table": markdown(
            ("N", "level", "c", "found"),
            ([str(row["largest"]), f"{row['level']:g}", f"{row['constant']:.5f}", f"{100 * row['found']:.3f} %"]
             for row in figures["table"]),
        ),
        "looked_families": markdown(
            ("real", "their gain", "rule", "a gain wrongly seen in any", "real ones found", "after pairs"),
            ([str(row["real"]), f"{row['effect']:g} sd" if row["real"] else "–", row["rule"],
              percent(row["any_wrong"]), *_found(row)] for row in figures["families"]),
        ),
        "stopping": markdown(
            ("true gain", "repeated interval covers", "t interval covers", "pairs at the stop"),
            ([f"{row['effect']:g} sd", percent(row["repeated"]), percent(row["plain"]), f"{row['pairs']:.1f}"]
             for row in figures["stopping"]),
        ),
        "margins": markdown(
            ("true gain", "sd", "rule", "within 1 ± 0.5", "smaller than 0.5"),
            ([f"{row['gain']:+g}", f"{row['sd']:g}", row["rule"], percent(row["within"]), percent(row["smaller"])]
             for row in figures["margins"]),
        ),
        **greedy.tables(figures),
        **intervals.tables(figures),
    }  # fmt: skip


def _found(row: Figures) -> Sequence[str]:
    return ("–", "–") if row["real_found"] is None else (percent(row["real_found"]), f"{row['pairs']:.1f}")


if __name__ == "__main__":
    whole = simulate()
    write_figures(FIGURES, whole)
    fill(DOCUMENT, tables(whole))

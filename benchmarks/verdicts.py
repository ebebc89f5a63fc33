"""Simulates claims whose truth is known, and counts how often their verdicts are right.

`python -m benchmarks verdicts` prints a summary. `python -m benchmarks.verdicts` writes all figures to
docs/statistics.json, and from them the tables of docs/statistics.md. Seeds are fixed: the same code gives the same
figures.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr
from scipy.stats import binom

from benchmarks.documents import fill, markdown, percent, write_figures
from benchmarks.rows import Row
from suite.store.canonical import derive_seed
from suite.store.record import pack_bits
from suite.verdict import stats
from suite.verdict.claims.claim import Claim
from suite.verdict.comparisons import Comparison, Side
from suite.verdict.evidence import POWER, image_checks
from suite.verdict.matching import Case
from suite.verdict.sentences import WORDS, Word
from suite.verdict.verdicts import judge_cases

CLAIMS = 2_000  # simulated claims for each figure
CHEAP = 10  # this many times as many for figures that need no verdict
CLAIMED, MARGIN, ALPHA = 1.0, 0.5, 0.05
GAINS, PAIRS, SDS = (-1.0, 0.0, 0.5, 1.0, 1.5, 2.0), (2, 3, 5, 10), (0.2, 0.5, 1.0)
FAMILY = 10
IMAGES = 1_000
IMAGE_PAIRS = (3, 5, 10, 20)
# Variation of the gains in addition to the noise of each run: name → (standard deviation of the treatment's effect
# between images, standard deviation of the seed's effect on the treatment).
SOURCES = {"neither": (0.2, 0.05), "seeds": (0.2, 0.5), "images": (1.0, 0.05)}

DOCS = Path(__file__).resolve().parents[1] / "docs"
FIGURES, DOCUMENT = DOCS / "statistics.json", DOCS / "statistics.md"

Answers = npt.NDArray[np.bool_]  # [pairs, images]: was the image right?
Figures = dict[str, Any]

_GAIN_WORDS: tuple[Word, ...] = ("confirmed", "direction_only")
_CELL = {"dataset": "simulated", "arch": "any", "pe": "any", "norm": "ln", "loss": "default", "recipe": "any"}


def claim() -> Claim:
    """Return a claim of +1 ± 0.5 points that any simulated cell can test, as if the paper's own gain were exact."""
    return Claim.model_validate(
        {
            "id": "simulated", "paper": "none", "version": "none", "table": "0", "row": "simulated",
            "kind": "published", "published_runs": 1_000_000, "claimed_gain": CLAIMED, "margin": MARGIN, "alpha": ALPHA,
            "contrast": {"axis": "join", "baseline": "default", "treatment": "lape", "match": {"pe": "learnable"}},
        }
    )  # fmt: skip


def comparison(baseline: Sequence[float], treatment: Sequence[float]) -> Comparison:
    """Return the comparison of runs with these accuracies in percent. Equal positions form a pair."""
    return Comparison("join", _CELL, "top1", _side("default", baseline), _side("lape", treatment))


def answered(baseline: Answers, treatment: Answers, name: str) -> Comparison:
    """Return the comparison of runs with the given per-image correctness.

    Args:
        baseline: [pairs, images].
        treatment: [pairs, images].
        name: the prefix of the trials' names.
    """
    sides = []
    for level, right in (("default", baseline), ("lape", treatment)):
        images = dict.fromkeys(range(len(right)), int(right.shape[1]))
        correct = {seed: pack_bits(row) for seed, row in enumerate(right)}
        side = _side(level, [100 * float(row.mean()) for row in right], name)
        sides.append(replace(side, test_images=images, correct=correct))
    return Comparison("join", _CELL, "top1", sides[0], sides[1])


def _side(level: str, values: Sequence[float], name: str = "") -> Side:
    seeds = range(len(values))
    return Side(
        level=level,
        values=dict(enumerate(values)),
        failures={},
        environments=dict.fromkeys(seeds, "none"),
        trials={seed: f"{name} {level} {seed}" for seed in seeds},
        test_images={},
        correct={},
    )


def paired(gains: Iterable[float]) -> Comparison:
    """Return a comparison whose pairs have these gains."""
    listed = list(gains)
    return comparison([50.0] * len(listed), [50.0 + gain for gain in listed])


def simulate(claims: int = CLAIMS) -> Figures:
    """Simulate all figures, each from `claims` claims (for families, families of claims) or `CHEAP` times as many."""
    return {
        "claims": claims,
        "words": list(words(claims)),
        "coverage": list(coverage(CHEAP * claims)),
        "power": list(power(CHEAP * claims)),
        "families": list(families(claims)),
        "images": list(images(claims)),
    }


def words(claims: int) -> Iterator[Figures]:
    """Count the verdicts by true gain, spread and number of pairs. Each claim is judged alone."""
    asked = claim()
    for gain in GAINS:
        for sd in SDS:
            for n in PAIRS:
                draws = _rng("words", gain, sd, n).normal(gain, sd, (claims, n))
                counts = Counter(judge_cases([Case(asked, paired(one))])[0].word for one in draws)
                yield {"gain": gain, "sd": sd, "pairs": n, **{word: counts[word] / claims for word in WORDS}}


def coverage(claims: int) -> Iterator[Figures]:
    """Simulate how often the 95 % t interval contains the true gain."""
    for n in PAIRS:
        draws = _rng("coverage", n).normal(CLAIMED, 0.5, (claims, n))
        found = [stats.paired_gain(one) for one in draws]
        yield {"pairs": n, "covered": sum(one.low <= CLAIMED <= one.high for one in found) / claims}


def power(claims: int) -> Iterator[Figures]:
    """Simulate how often a gain is found that should be found with 80 % power.

    This is the smallest detectable gain for n pairs, and a given gain with the number of pairs that it needs.
    """
    for n in PAIRS[1:]:
        gain = stats.smallest_gain(n, 0.5)
        yield {"of": "smallest_gain", "gain": gain, "pairs": n, "shown": _shown(claims, gain, n)}
    for gain in (0.3, 0.5, 1.0):
        for off in (0, -1):
            n = int(stats.seeds_needed(gain, 0.5)) + off
            of = "seeds_needed" + (f" − {-off}" if off else "")
            yield {"of": of, "gain": gain, "pairs": n, "shown": _shown(claims, gain, n)}


def _shown(claims: int, gain: float, n: int) -> float:
    draws = _rng("power", gain, n).normal(gain, 0.5, (claims, n))
    return sum(stats.paired_gain(one).p_greater < ALPHA for one in draws) / claims


def families(claims: int) -> Iterator[Figures]:
    """Simulate ten claims judged together: how often any zero gain is called real, and the share of real ones found."""
    asked = claim()
    for real in (0, 5, 9):
        rng, wrong, found = _rng("families", real), 0, 0
        for _ in range(claims):
            draws = rng.normal(0, 0.5, (FAMILY, 5))
            draws[:real] += CLAIMED
            said = [one.word in _GAIN_WORDS for one in judge_cases([Case(asked, paired(one)) for one in draws])]
            wrong, found = wrong + any(said[real:]), found + sum(said[:real])
        yield {
            "real": real,
            "null": FAMILY - real,
            "any_wrong": wrong / claims,
            "real_found": found / (claims * real) if real else None,
        }


def images(claims: int) -> Iterator[Figures]:
    """Simulate how often intervals of n pairs on 1,000 test images contain the true gain.

    The true gain is that on these images, or that on the distribution that they are drawn from. For image i and seed s,
    the baseline is correct with probability Φ(1 + a_i + e_s), the treatment with Φ(1.1 + a_i + b_i + e_s + g_s). The
    difficulty of an image is a ~ N(0, 1.5²), and the seed's effect is e ~ N(0, 0.1²). The treatment's effect on the
    image, b, and its effect with the seed, g, have the standard deviations of `SOURCES`.
    """
    asked = claim()
    for source, (effect, seed_effect) in SOURCES.items():
        everywhere = _truth(effect, seed_effect)
        for n in IMAGE_PAIRS:
            rng = _rng("images", source, n)
            drawn = [_image_comparison(rng, effect, seed_effect, n, str(number)) for number in range(claims)]
            checked = [(one, image_checks(asked, one), here) for one, here in drawn]
            found = [(one.gain, checks.interval, here) for one, checks, here in checked if checks is not None]
            yield {
                "source": source,
                "pairs": n,
                "t_on_these_images": sum(t.low <= here <= t.high for t, _, here in found) / claims,
                "t_on_all_images": sum(t.low <= everywhere <= t.high for t, _, _ in found) / claims,
                "crossed_on_all_images": sum(b.low <= everywhere <= b.high for _, b, _ in found) / claims,
                "width_to_t": sum((b.high - b.low) / (t.high - t.low) for t, b, _ in found) / claims,
            }


_DIFFICULTY, _SEED, _LEVEL, _STEP = 1.5, 0.1, 1.0, 0.1


def _truth(effect: float, seed_effect: float) -> float:
    """Return the true gain over all images and seeds, in points: E Φ(m + sZ) = Φ(m / √(1 + s²))."""
    baseline = 1 + _DIFFICULTY**2 + _SEED**2
    treatment = baseline + effect**2 + seed_effect**2
    return 100 * float(ndtr((_LEVEL + _STEP) / math.sqrt(treatment)) - ndtr(_LEVEL / math.sqrt(baseline)))


def _image_comparison(
    rng: np.random.Generator, effect: float, seed_effect: float, n: int, name: str
) -> tuple[Comparison, float]:
    """Simulate a comparison of n pairs on newly drawn images.

    Args:
        rng: the source of random numbers.
        effect: standard deviation of the treatment's effect between images.
        seed_effect: standard deviation of the seed's effect on the treatment.
        n: the number of pairs.
        name: the prefix of the trials' names.

    Returns:
        The comparison, and its true gain on these images over all seeds.
    """
    plain = _LEVEL + rng.normal(0, _DIFFICULTY, IMAGES)
    helped = plain + _STEP + rng.normal(0, effect, IMAGES)
    seed = rng.normal(0, _SEED, (n, 1))
    latent = (plain + seed, helped + seed + rng.normal(0, seed_effect, (n, 1)))
    baseline, treatment = (rng.random((n, IMAGES)) < ndtr(one) for one in latent)
    variance = 1 + _SEED**2
    here = ndtr(helped / math.sqrt(variance + seed_effect**2)) - ndtr(plain / math.sqrt(variance))
    return answered(baseline, treatment, name), 100 * float(here.mean())


def _rng(*parts: float | str) -> np.random.Generator:
    return np.random.default_rng(derive_seed(*parts))


def rows(figures: Figures) -> list[Row]:
    """Return the checks: each simulated rate beside its theoretical bound plus what chance exceeds once in 1,000."""
    claims = figures["claims"]

    def at_most(share: float, draws: int = claims, settings: int = 1) -> float:
        """Return an upper bound for the largest of `settings` simulated shares, exceeded once in 1,000 by chance."""
        return float(binom.ppf(1 - 0.001 / settings, draws, share)) / draws

    def at_least(share: float, draws: int = claims) -> float:
        return 1 - at_most(1 - share, draws)

    def worst(what: str, words: Sequence[Word], gains: Sequence[float]) -> Row:
        shares = [sum(row[word] for word in words) for row in figures["words"] if row["gain"] in gains]
        return Row(what, max(shares), at_most(ALPHA, settings=len(shares)))

    found = [
        worst("'confirmed' at a true gain of 0 or less", ["confirmed"], (-1.0, 0.0)),
        worst("'confirmed' at the ends of the margin or beyond", ["confirmed"], (0.5, 1.5, 2.0)),
        worst("a gain seen at a true gain of 0 or less", _GAIN_WORDS, (-1.0, 0.0)),
        worst("'contradicted' within the margin", ["contradicted"], (0.5, 1.0, 1.5)),
    ]
    found += [
        Row(f"a gain wrongly seen, {FAMILY} claims, {row['real']} of them real", row["any_wrong"], at_most(ALPHA))
        for row in figures["families"]
    ]
    found += [
        Row(f"95 % t interval, {row['pairs']} pairs: covers", row["covered"],
            at_most(0.95, CHEAP * claims), at_least(0.95, CHEAP * claims))
        for row in figures["coverage"]
    ]  # fmt: skip
    for row in figures["power"]:
        most, least = at_most(POWER, CHEAP * claims), at_least(POWER, CHEAP * claims)
        if row["of"] != "smallest_gain":  # the rounded-up number of pairs reaches the power, one pair less doesn't
            most, least = (most, 0.0) if "−" in row["of"] else (1.0, least)
        found.append(Row(f"power: {row['of']}, {row['pairs']} pairs", row["shown"], most, least))
    found += [
        Row(f"seeds and images, {row['pairs']} pairs, gains vary by {row['source']}: covers",
            row["crossed_on_all_images"], 1.0, at_least(0.93))
        for row in figures["images"]
    ]  # fmt: skip
    return [row._replace(unit="") for row in found]


def tables(figures: Figures) -> Mapping[str, str]:
    """Return the tables of docs/statistics.md, by name, in Markdown."""
    return {
        "words": markdown(
            ("true gain", "sd", "pairs", *(word.replace("_", " ") for word in WORDS)),
            ([f"{row['gain']:+g}", f"{row['sd']:g}", str(row["pairs"]), *(percent(row[word]) for word in WORDS)]
             for row in figures["words"] if row["pairs"] >= claim().min_pairs),
        ),
        "coverage": markdown(
            ("pairs", "t interval covers"),
            ([str(row["pairs"]), percent(row["covered"])] for row in figures["coverage"]),
        ),
        "power": markdown(
            ("by", "true gain", "pairs", "shown"),
            ([row["of"], f"{row['gain']:+.2f}", str(row["pairs"]), percent(row["shown"])] for row in figures["power"]),
        ),
        "families": markdown(
            ("claims with a gain", "without", "a gain wrongly seen in any", "gains found"),
            ([str(row["real"]), str(row["null"]), percent(row["any_wrong"]),
              "–" if row["real_found"] is None else percent(row["real_found"])] for row in figures["families"]),
        ),
        "images": markdown(
            ("gains vary by", "pairs", "t, these images", "t, all images",
             "seeds and images, all images", "width to t's"),
            ([row["source"], str(row["pairs"]), percent(row["t_on_these_images"]),
              percent(row["t_on_all_images"]), percent(row["crossed_on_all_images"]), f"{row['width_to_t']:.2f}"]
             for row in figures["images"]),
        ),
    }  # fmt: skip


if __name__ == "__main__":
    whole = simulate()
    write_figures(FIGURES, whole)
    fill(DOCUMENT, tables(whole))

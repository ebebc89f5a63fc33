"""The verdict cards of the HTML report: one card per verdict."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from suite.report.figures.gains import effect
from suite.report.tables.table import NONE
from suite.text import interval, p_value, points
from suite.verdict.evidence import Evidence
from suite.verdict.sentences import Word
from suite.verdict.verdicts import Verdict

SIGNS: Mapping[Word, tuple[str, str]] = {
    "not_tested": ("○", "Not tested"),
    "contradicted": ("✕", "Contradicted"),
    "confirmed": ("✓", "Confirmed"),
    "direction_only": ("↗", "Direction only"),
    "inconclusive": ("≈", "Inconclusive"),
    "opposite_here": ("↘", "Opposite here"),
    "gain_here": ("↗", "Gain here"),
    "no_gain_here": ("→", "No gain here"),
    "open": ("≈", "Open"),
}


def card(verdict: Verdict) -> dict[str, Any]:
    """The values that the HTML template needs for the card of a verdict."""
    sign, said = SIGNS[verdict.word]
    sentence = verdict.sentence[0].upper() + verdict.sentence[1:]
    claim = verdict.claim
    return {
        "word": verdict.word,
        "sign": sign,
        "said": said,
        "analogue": claim.kind == "analogue",
        "title": claim.title
        if claim.kind == "own"
        else f"{claim.paper} ({claim.version}), Table {claim.table}: {claim.row}",
        "cell": verdict.cell,
        "recipe": verdict.recipe,
        "plot": effect(verdict),
        "sentence": sentence,
        "caveats": verdict.caveats,
        "numbers": list(_numbers(verdict)),
    }


def _numbers(verdict: Verdict) -> Iterator[tuple[str, str]]:
    """All numbers behind the verdict, as (name, text)."""
    claim, seen = verdict.claim, verdict.evidence
    yield "Claimed gain", _published(verdict)
    yield "Margin δ, level α", f"{claim.margin:g} points, {claim.alpha:g}; fixed in the claim file before any run"
    yield "Metric", "top-1 of the last epoch" if claim.metric == "top1" else "top-1 of the best epoch (optimistic)"
    if seen is None:
        return
    gain, (before, after) = seen.gain, seen.comparison.means
    yield "Pairs", f"{seen.pairs}: {_pairs(seen)}"
    yield "Means over pairs", f"{before:.2f} % → {after:.2f} %"
    yield "Gain", f"{points(gain.mean)}, sample standard deviation {_number(gain.sd)}"
    yield "95 % t interval", interval(gain.low, gain.high)
    test = "paired t-test"
    if claim.rule != "fixed":
        test = "sequential t-test" if claim.rule == "max_pairs" else "sign-flip e-process"
        most = f", of at most {claim.max_pairs}" if claim.max_pairs is not None else ""
        yield "Rule", f"{test}: judged after each pair{most}; fixed in the claim file before any run"
        yield "95 % interval at all looks", interval(seen.interval.low, seen.interval.high)
        yield "p of a gain of at least the claimed one less δ", p_value(seen.p_smaller)
    yield (
        f"p, {test}, one-sided",
        f"{p_value(seen.p)} ({_family(seen)}: {p_value(seen.p_adjusted)})",
    )
    opposite = "p of a loss" if claim.side == "greater" else "p of a rise"
    yield opposite, f"{p_value(seen.p_negative)} ({_family(seen)}: {p_value(seen.p_negative_adjusted)})"
    yield "p, equal within δ (TOST)", p_value(seen.p_equivalent)
    yield (
        "p, exact sign flip",
        f"{p_value(seen.p_sign_flip)} (with {seen.pairs} pairs, at best {p_value(seen.smallest_p_sign_flip)})",
    )
    if images := seen.images:
        yield (
            "95 % interval over seeds and images",
            f"{interval(images.interval.low, images.interval.high)}, of {images.images} test images",
        )
        pairs = zip(seen.comparison.seeds, images.gained, images.lost, images.p_mcnemar, strict=True)
        yield (
            "Images gained, lost; McNemar’s p",
            "; ".join(f"seed {seed} +{more} −{less}, {p_value(p)}" for seed, more, less, p in pairs),
        )
    yield "Smallest gain to show", f"{_number(seen.smallest_gain)} points, by {seen.pairs} pairs at 80 % power"
    yield "Pairs to show the claimed gain", f"{_number(seen.pairs_needed, 0)}, at 80 % power with this spread"
    yield "Correlation of the pairs", _number(seen.comparison.correlation)
    yield "Environments", "; ".join(seen.comparison.environments)


def _family(seen: Evidence) -> str:
    return f"in a family of {seen.claims_judged}" if seen.claims_judged > 1 else "alone"


def _published(verdict: Verdict) -> str:
    claim = verdict.claim
    text = f"{points(claim.claimed_gain)} points"
    if claim.claimed_baseline is not None and claim.claimed_treatment is not None:
        text += f" ({claim.claimed_baseline:g} % → {claim.claimed_treatment:g} %)"
    return f"{text}, for {claim.published_for}" if claim.published_for else text


def _pairs(seen: Evidence) -> str:
    listed = zip(seen.comparison.seeds, seen.comparison.gains, strict=True)
    return ", ".join(f"seed {seed} {points(gain)}" for seed, gain in listed)


def _number(value: float, digits: int = 2) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else NONE

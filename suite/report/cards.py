"""The cards of the report: one for each verdict."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from suite.report.figures.gains import effect
from suite.report.tables.render import NONE
from suite.text import points
from suite.verdict.evidence import Evidence
from suite.verdict.sentences import Word
from suite.verdict.verdicts import Verdict

SIGNS: Mapping[Word, tuple[str, str]] = {
    "not_tested": ("○", "Not tested"),
    "contradicted": ("✕", "Contradicted"),
    "confirmed": ("✓", "Confirmed"),
    "direction_only": ("↗", "Direction only"),
    "inconclusive": ("≈", "Inconclusive"),
}


def card(verdict: Verdict) -> dict[str, Any]:
    """What the page's template shows of a verdict."""
    sign, said = SIGNS[verdict.word]
    sentence = verdict.sentence[0].upper() + verdict.sentence[1:]
    claim = verdict.claim
    return {
        "word": verdict.word,
        "sign": sign,
        "said": said,
        "analogue": claim.kind == "analogue",
        "title": f"{claim.paper} ({claim.version}), Table {claim.table}: {claim.row}",
        "cell": verdict.cell,
        "recipe": verdict.recipe,
        "plot": effect(verdict),
        "sentence": sentence,
        "caveats": verdict.caveats,
        "numbers": list(_numbers(verdict)),
    }


def _numbers(verdict: Verdict) -> Iterator[tuple[str, str]]:
    """Every number that led to the word, with its name."""
    claim, seen = verdict.claim, verdict.evidence
    yield "Claimed gain", _published(verdict)
    yield "Margin δ, level α", f"{claim.margin:g} points, {claim.alpha:g}; fixed in the claim file before any run"
    yield "Metric", "top-1 of the last epoch" if claim.metric == "top1" else "top-1 of the best epoch (optimistic)"
    if seen is None:
        return
    yield "Pairs", f"{seen.pairs}: {_pairs(seen)}"
    yield "Means over pairs", f"{seen.baseline_mean:.2f} % → {seen.treatment_mean:.2f} %"
    yield "Gain", f"{points(seen.gain)}, sample standard deviation {_number(seen.sd)}"
    yield "95 % t interval", f"[{points(seen.low)}, {points(seen.high)}]"
    yield "p, paired t-test, one-sided", f"{_p(seen.p)} (Holm over {seen.claims_judged}: {_p(seen.p_adjusted)})"
    opposite = "p of a loss" if claim.side == "greater" else "p of a rise"
    yield opposite, f"{_p(seen.p_negative)} (Holm over {seen.claims_judged}: {_p(seen.p_negative_adjusted)})"
    yield "p, equal within δ (TOST)", _p(seen.p_equivalent)
    yield (
        "p, exact sign flip",
        f"{_p(seen.p_sign_flip)} (with {seen.pairs} pairs, at best {_p(seen.smallest_p_sign_flip)})",
    )
    if seen.images_gained is not None and seen.images_lost is not None and seen.p_mcnemar is not None:
        yield (
            "95 % bootstrap interval",
            f"[{points(seen.bootstrap_low)}, {points(seen.bootstrap_high)}], over pairs and "
            f"{seen.test_images} test images",
        )
        images = zip(seen.seeds, seen.images_gained, seen.images_lost, seen.p_mcnemar, strict=True)
        yield (
            "Images gained, lost; McNemar’s p",
            "; ".join(f"seed {seed} +{more} −{less}, {_p(p)}" for seed, more, less, p in images),
        )
    yield "Smallest gain to show", f"{_number(seen.smallest_gain)} points, by {seen.pairs} pairs at 80 % power"
    yield "Pairs to show the claimed gain", f"{_number(seen.pairs_needed, 0)}, at 80 % power with this spread"
    yield "Correlation of the pairs", _number(seen.correlation)
    yield "Environments", "; ".join(seen.environments)


def _published(verdict: Verdict) -> str:
    claim = verdict.claim
    text = f"{points(claim.claimed_gain)} points"
    if claim.claimed_baseline is not None and claim.claimed_treatment is not None:
        text += f" ({claim.claimed_baseline:g} % → {claim.claimed_treatment:g} %)"
    return f"{text}, for {claim.published_for}" if claim.published_for else text


def _pairs(seen: Evidence) -> str:
    listed = zip(seen.seeds, seen.gains, strict=True)
    return ", ".join(f"seed {seed} {points(gain)}" for seed, gain in listed)


def _p(value: float) -> str:
    return NONE if math.isnan(value) else "< 0.0001" if value < 1e-4 else f"{value:.4f}"


def _number(value: float, digits: int = 2) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else NONE

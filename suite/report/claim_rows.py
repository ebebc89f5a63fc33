"""A line of a page about a claim: its name, its drawing on the page's scale, its numbers and its word."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from suite.report.figures.forest import Scale, line, observed_interval
from suite.text import interval, points
from suite.verdict.metrics import metric_of
from suite.verdict.run_caveats import lost_runs
from suite.verdict.sentences import MEANINGS, Word
from suite.verdict.verdicts import Verdict

SIGNS: Mapping[Word, tuple[str, str]] = {
    "not_tested": ("○", "Not tested"),
    "contradicted": ("✕", "Contradicted"),
    "confirmed": ("✓", "Confirmed"),
    "direction_only": ("↗", "Direction only"),
    "inconclusive": ("?", "Inconclusive"),
    "opposite_here": ("↘", "Opposite here"),
    "gain_here": ("↗", "Gain here"),
    "no_gain_here": ("→", "No gain here"),
    "open": ("?", "Open"),
}


def claim_anchor(claim_id: str, place: int = 0) -> str:
    """The anchor of a verdict in the report of its grid. place: its place among the verdicts on the same claim."""
    return f"claim-{claim_id}" + (f"-{place + 1}" if place else "")


def claim_row(verdict: Verdict, title: str, scale: Scale) -> dict[str, Any]:
    """The values that the template `claim_row.html.j2` needs. title: the claim's name."""
    claim, seen, ends = verdict.claim, verdict.evidence, observed_interval(verdict)
    (sign, said), unit = SIGNS[verdict.word], metric_of(claim.metric).suffix
    margin = f"{claim.margin:.2f}" if claim.margin >= 0.01 else f"{claim.margin:g}"
    return {
        "title": title,
        "word": verdict.word,
        "rank": list(MEANINGS).index(verdict.word),
        "sign": sign,
        "said": said,
        "provisional": verdict.provisional,
        "axis": claim.contrast.axis,
        "plot": line(verdict, scale),
        "claimed": claim.claimed_gain,
        "claimed_text": "any gain" if claim.any_size else f"{points(claim.claimed_gain)}{unit}",
        "margin": "" if claim.any_size else margin,
        "observed": "" if seen is None else f"{seen.gain.mean:.4f}",
        "mean": "" if seen is None else f"{points(seen.gain.mean)}{unit}",
        "interval": "" if seen is None or seen.gain.n < 2 else interval(ends.low, ends.high),
        "lost": "" if seen is None else lost_runs(seen.comparison),
        "pairs": 0 if seen is None else len(seen.comparison.gains),
    }

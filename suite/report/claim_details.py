"""What a grid's report says about each claim: its line, its sentence, its pairs with their runs, and all numbers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from suite.report.claim_names import claim_names
from suite.report.claim_rows import claim_anchor, claim_row
from suite.report.figures.forest import Scale
from suite.report.tables.table import NONE
from suite.text import interval, p_value, pair_count, points
from suite.verdict.claims.claim import Claim
from suite.verdict.claims.published import table_name
from suite.verdict.evidence import Evidence
from suite.verdict.metrics import metric_of
from suite.verdict.sentences import without_analogue
from suite.verdict.verdicts import Verdict


def claim_groups(
    verdicts: Sequence[Verdict], scale: Scale, panels: Mapping[str, str], budget: str
) -> tuple[list[tuple[str, list[dict[str, Any]]]], list[str]]:
    """The verdicts by paper and table, and the caveats as numbered notes.

    Args:
        verdicts: the verdicts.
        scale: the scale of all their drawings.
        panels: the name of the figure with the curves of a run, by its trial id.
        budget: in what the grid is smaller than the paper's experiment, which the page says once; empty if it isn't.
    """
    notes: dict[str, int] = {}
    places = enumerate(_anchors(verdicts), 1)
    groups = []
    for title, found in groupby(verdicts, key=_title):
        members = list(found)
        rows = []
        for verdict, name in zip(members, claim_names(members), strict=True):
            row = claim_row(verdict, name, scale)
            row |= _details(verdict, panels, budget)
            row["number"], row["anchor"] = next(places)
            row["notes"] = sorted(notes.setdefault(text, len(notes) + 1) for text in verdict.caveats)
            rows.append(row)
        groups.append((title, rows))
    return groups, list(notes)


def claims_of_runs(verdicts: Sequence[Verdict]) -> dict[str, list[tuple[int, str]]]:
    """For each trial id, the number and the anchor of every claim that counts the run."""
    found: dict[str, list[tuple[int, str]]] = {}
    for number, (verdict, anchor) in enumerate(zip(verdicts, _anchors(verdicts), strict=True), 1):
        if verdict.evidence is not None:
            compared = verdict.evidence.comparison
            for side in (compared.baseline, compared.treatment):
                for seed in compared.seeds:
                    found.setdefault(side.trials[seed], []).append((number, anchor))
    return found


def _anchors(verdicts: Iterable[Verdict]) -> Iterator[str]:
    """The anchor of each verdict: of several on the same claim, each has its own."""
    times: Counter[str] = Counter()
    for verdict in verdicts:
        yield claim_anchor(verdict.claim.id, times[verdict.claim.id])
        times[verdict.claim.id] += 1


def _title(verdict: Verdict) -> str:
    claim = verdict.claim
    return claim.paper if claim.kind == "own" else f"{claim.paper} ({claim.version}), {table_name(claim.table)}"


def _details(verdict: Verdict, panels: Mapping[str, str], budget: str) -> dict[str, Any]:
    claim, seen = verdict.claim, verdict.evidence
    sentence = without_analogue(verdict.sentence)
    pairs = [] if seen is None else _pairs(seen)
    trials = [trial for pair in pairs for trial in (pair["before"], pair["after"])]
    curves = dict.fromkeys(panels[trial] for trial in trials if trial in panels)
    return {
        "sentence": sentence[0].upper() + sentence[1:],
        "cell": verdict.cell,
        "recipe": verdict.recipe,
        # Of a claim that the grid's budget carries over, the page says it once.
        "published_for": claim.published_for if claim.kind == "analogue" and not budget else "",
        "levels": (claim.contrast.baseline, claim.contrast.treatment),
        "value_unit": "%" if metric_of(claim.metric).unit == "points" else metric_of(claim.metric).unit,
        "runs": pairs,
        "curves": list(curves),
        "numbers": list(_numbers(verdict, budget)),
    }


def _pairs(seen: Evidence) -> list[dict[str, Any]]:
    """The pairs, each with both runs and their values."""
    compared = seen.comparison
    before, after = compared.baseline, compared.treatment
    return [
        {
            "seed": seed,
            "before": before.trials[seed],
            "after": after.trials[seed],
            "before_value": f"{before.values[seed]:.2f}",
            "after_value": f"{after.values[seed]:.2f}",
            "gain": points(gain),
        }
        for seed, gain in zip(compared.seeds, compared.gains, strict=True)
    ]


def _numbers(verdict: Verdict, budget: str) -> Iterator[tuple[str, str]]:
    """All numbers behind the verdict, as (name, text)."""
    claim, seen = verdict.claim, verdict.evidence
    unit = metric_of(claim.metric).unit
    sign = " %" if unit == "points" else f" {unit}"
    yield "Claimed gain", _published(verdict, budget)
    yield "Margin δ, level α", f"{claim.margin:g} {unit}, {claim.alpha:g}"
    yield "Metric", _metric(claim)
    if seen is None:
        return
    gain, (before, after) = seen.gain, seen.comparison.means
    yield "Means over pairs", f"{before:.2f}{sign} → {after:.2f}{sign}"
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
        f"{p_value(seen.p_sign_flip)} (with {pair_count(seen.pairs)}, at best {p_value(seen.smallest_p_sign_flip)})",
    )
    if images := seen.images:
        yield (
            "95 % interval over seeds and images",
            f"{interval(images.interval.low, images.interval.high)}, of {images.images} test images",
        )
        pairs = zip(seen.comparison.seeds, images.gained, images.lost, images.p_mcnemar, strict=True)
        yield (
            _IMAGE_TESTS[metric_of(claim.metric).items],
            "; ".join(f"seed {seed} +{more} −{less}, {p_value(p)}" for seed, more, less, p in pairs),
        )
    yield "Smallest gain to show", f"{_number(seen.smallest_gain)} {unit}, by {pair_count(seen.pairs)} at 80 % power"
    yield "Pairs to show the claimed gain", f"{_number(seen.pairs_needed, 0)}, at 80 % power with this spread"
    yield "Correlation of the pairs", _number(seen.comparison.correlation)
    yield "Environments", "; ".join(seen.comparison.environments)


# What is counted of single test images, by the evidence of the metric.
_IMAGE_TESTS = {
    "correct": "Images gained, lost; McNemar’s p",
    "wrong_copies": "Images with fewer, more errors; sign test",
    "pixel_counts": "Images that add more, less to the mIoU; sign test",
    "region_measures": "Images with better, worse regions; sign test",
}


def _metric(claim: Claim) -> str:
    """The metric, with its direction and reference where these aren't those of an accuracy."""
    metric = metric_of(claim.metric)
    of = "percent" if metric.unit == "points" else metric.unit
    lower = f", in {of}; lower is better, and a gain is by how much it falls" if metric.better == "lower" else ""
    relative = "" if claim.reference is None else f", relative to {claim.reference.name}"
    return f"{metric.title}{relative}{lower}"


def _family(seen: Evidence) -> str:
    return f"in a family of {seen.claims_judged}" if seen.claims_judged > 1 else "alone"


def _published(verdict: Verdict, budget: str) -> str:
    claim = verdict.claim
    text = f"{points(claim.claimed_gain)} {metric_of(claim.metric).unit}"
    if claim.claimed_baseline is not None and claim.claimed_treatment is not None:
        text += f" ({claim.claimed_baseline:g} % → {claim.claimed_treatment:g} %)"
    return f"{text}, for {claim.published_for}" if claim.published_for and not budget else text


def _number(value: float, digits: int = 2) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else NONE

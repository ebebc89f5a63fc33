"""One line of a forest plot as inline SVG: a claimed gain with its margin, and what runs observed.

All lines of a page share one scale, so that they can be compared by eye. Positions are in percent of the width: a line
fits a phone and a wide screen.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from markupsafe import Markup

from suite.report.tables.table import NONE
from suite.text import interval, pair_count, points
from suite.verdict.stats import Interval
from suite.verdict.verdicts import Verdict

LINEAR = 1.0  # points: the scale is nearly linear up to here, and logarithmic beyond
_DIGIT, _APART = 2.3, 2.5  # percent of a phone's width: a character of a tick's label, and the space between two labels
_CLAIMED, _OBSERVED = 9, 23  # the heights of two lanes, in pixels; the dots of pairs are below, at 34
SHORT, TALL = 18, 42  # the height of a line without and with runs, in pixels

SHAPES = Markup(
    '<svg class="shapes" aria-hidden="true" width="0" height="0"><defs>'
    '<path id="claimed" d="M0-5.5 5.5 0 0 5.5-5.5 0z"/><path id="before" d="M0-4.5v9L-7 0z"/>'
    '<path id="beyond" d="M0-4.5v9L7 0z"/></defs></svg>'
)


@dataclass(frozen=True)
class Scale:
    """A map from percentage points to percent of the width: asinh, which shows 0.1 and 10 on one axis.

    Args:
        low: the left end, in points. Marks beyond an end are drawn at it.
        high: the right end.
    """

    low: float
    high: float

    def at(self, value: float) -> float:
        """The place of a gain, in percent of the width."""
        low, high = _bent(self.low), _bent(self.high)
        return round(100 * (_bent(min(max(value, self.low), self.high)) - low) / (high - low), 1)

    def holds(self, value: float) -> bool:
        """Whether the value is on the scale."""
        return self.low <= value <= self.high

    @cached_property
    def ticks(self) -> list[float]:
        """Round values, with space for a label between any two: 0, and ±1 and ±3 times powers of ten."""
        sizes = [factor * 10.0**power for power in (0, 1, 2, -1, -2) for factor in (1, 3)]
        found = [0.0]
        for size in sizes:
            for value in (size, -size):
                if self.holds(value) and all(self._apart(value, other) for other in found):
                    found.append(value)
        return sorted(found)

    def _apart(self, one: float, other: float) -> bool:
        """Whether the labels of two ticks have space beside each other."""
        (_, left), (right, _) = sorted((self._extent(one), self._extent(other)))
        return right - left >= _APART

    def _extent(self, tick: float) -> tuple[float, float]:
        """From where to where the label of a tick goes, in percent of a phone's width."""
        place, width = self.at(tick), _DIGIT * len(_label(tick))
        begin = {"start": place, "middle": place - width / 2, "end": place - width}[_anchor(place)]
        return begin, begin + width


def _bent(value: float) -> float:
    return math.asinh(value / LINEAR)


def common_scale(verdicts: Iterable[Verdict]) -> Scale:
    """A scale that holds every claimed gain, every pair and every mean.

    An interval of two or three pairs can be many times as wide; what goes far beyond the rest is cut off.
    """
    values, ends = [-0.5, 0.5], list[float]()
    for verdict in verdicts:
        claim, seen = verdict.claim, verdict.evidence
        values += [] if claim.any_size else [claim.claimed_gain - claim.margin, claim.claimed_gain + claim.margin]
        if seen is not None:
            values += [*seen.comparison.gains, seen.gain.mean]
            found = observed_interval(verdict)
            ends += [end for end in (found.low, found.high) if math.isfinite(end)]
    limit = 2 * max(map(abs, values))
    values += [min(max(end, -limit), limit) for end in ends]
    return Scale(_beyond(min(values), -1), _beyond(max(values), 1))


def _beyond(value: float, side: int) -> float:
    """A little further out, so that a mark at the end isn't cut."""
    return math.sinh(_bent(value) + side * 0.15) * LINEAR


def observed_interval(verdict: Verdict) -> Interval:
    """The 95 % interval that the verdict's sentence quotes; NaN where there is none."""
    seen = verdict.evidence
    if seen is None or seen.gain.n < 2:
        return Interval(math.nan, math.nan)
    return seen.interval if math.isfinite(seen.interval.low) else Interval(seen.gain.low, seen.gain.high)


def observed_text(verdict: Verdict) -> str:
    """The observed gain with its interval; a dash without runs."""
    seen = verdict.evidence
    if seen is None:
        return NONE
    ends = observed_interval(verdict)
    return points(seen.gain.mean) + (f" {interval(ends.low, ends.high)}" if math.isfinite(ends.low) else "")


def gridlines(scale: Scale) -> str:
    """The CSS background of all lines of a page: a thin line at each tick, and a darker one at zero."""
    drawn = [("--edge" if tick == 0 else "--grid", scale.at(tick)) for tick in sorted(scale.ticks, key=abs)]
    return ", ".join(f"linear-gradient(var({ink}) 0 0) {place:g}% 0/1px 100% no-repeat" for ink, place in drawn)


def axis(scale: Scale) -> Markup:
    """The labels of the ticks."""
    labels = Markup("").join(
        Markup('<text x="{}%" y="14" text-anchor="{}">{}</text>').format(scale.at(tick), _anchor(scale.at(tick)), label)
        for tick, label in ((tick, _label(tick)) for tick in scale.ticks)
    )
    return Markup('<svg class="ticks" aria-hidden="true">{}</svg>').format(labels)


def _label(tick: float) -> str:
    return f"{tick:+g}".replace("-", "−") if tick else "0"


def _anchor(percent: float) -> str:
    return "start" if percent < 2 else "end" if percent > 98 else "middle"


def line(verdict: Verdict, scale: Scale) -> Markup:
    """The line of a verdict. Its label says what it shows, with the interval."""
    claim, seen = verdict.claim, verdict.evidence
    said = f"Claimed {points(claim.claimed_gain)}, margin {claim.margin:.2f}; "
    if claim.any_size:
        said = "Claimed a gain of any size; "
    if seen is None:
        said += "no runs"
    else:
        ends = observed_interval(verdict)
        between = f", 95 % interval from {points(ends.low)} to {points(ends.high)}" if math.isfinite(ends.low) else ""
        said += f"observed {points(seen.gain.mean)}{between}, {pair_count(len(seen.comparison.gains))}"
    parts = (
        []
        if claim.any_size
        else [
            _bar("margin", claim.claimed_gain - claim.margin, claim.claimed_gain + claim.margin, _CLAIMED, scale),
            _mark("claimed", claim.claimed_gain, _CLAIMED, scale),
        ]
    )
    if seen is not None:
        parts += _observed(seen.gain.mean, observed_interval(verdict), seen.comparison.gains, scale)
    height = SHORT if seen is None else TALL
    return Markup('<svg class="forest" height="{}" role="img" aria-label="{}">{}</svg>').format(
        height, said, Markup("").join(parts)
    )


def _observed(mean: float, ends: Interval, gains: Sequence[float], scale: Scale) -> list[Markup]:
    dots = Markup("").join(Markup('<circle cx="{}%"/>').format(f"{scale.at(gain):g}") for gain in gains)
    pairs = [Markup('<g class="pair">{}</g>').format(dots)]  # the style sheet has their height and radius
    if not math.isfinite(ends.low):
        return [*pairs, _dot(mean, scale)]
    arrows = [
        _mark(shape, value, _OBSERVED, scale)
        for shape, value in (("before", ends.low), ("beyond", ends.high))
        if not scale.holds(value)
    ]
    return [*pairs, _bar("interval", ends.low, ends.high, _OBSERVED, scale), *arrows, _dot(mean, scale)]


def _bar(kind: str, low: float, high: float, y: int, scale: Scale) -> Markup:
    return Markup('<line class="{}" x1="{}%" x2="{}%" y1="{y}" y2="{y}"/>').format(
        kind, scale.at(low), scale.at(high), y=y
    )


def _mark(shape: str, value: float, y: int, scale: Scale) -> Markup:
    return Markup('<use class="{0}" href="#{0}" x="{1}%" y="{2}"/>').format(shape, scale.at(value), y)


def _dot(mean: float, scale: Scale) -> Markup:
    return Markup('<circle class="mean" cx="{}%" cy="{}" r="5"/>').format(scale.at(mean), _OBSERVED)

"""Figures of paired gains with their intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from suite.report.figures.kept import drawn
from suite.report.figures.style import INK, PALETTE, colour_number, new_figure, style, to_svg
from suite.verdict.comparisons import Comparison

if TYPE_CHECKING:
    from matplotlib.figure import Figure


MAX_GAINS = 40


def draw_gains(found: Sequence[Comparison], limit: int = MAX_GAINS) -> str:
    """Draw the first `limit` comparisons as SVG: a dot per gain, its 95 % interval, and a line at zero."""
    shown = [comparison for comparison in found if comparison.seeds][:limit]
    numbers = [(comparison.label, comparison.treatment.level, comparison.gain) for comparison in shown]
    return drawn({"gains": numbers}, lambda _: {"gains": _draw(shown)})["gains"]


def _draw(shown: Sequence[Comparison]) -> str:
    with style():
        return to_svg(_gains(shown), "gains")


def _gains(shown: Sequence[Comparison]) -> Figure:
    figure, axes = new_figure(7.2, 0.9 + 0.26 * len(shown))
    # Margins are fixed (in inches), because matplotlib's layout engine takes longer than the drawing itself.
    label = max((len(comparison.label) for comparison in shown), default=0)
    figure.subplots_adjust(left=min(0.075 * label + 0.1, 5.0) / 7.2, right=0.98, top=1 - 0.1 / figure.get_figheight(),
                           bottom=0.5 / figure.get_figheight())  # fmt: skip
    gains = [comparison.gain for comparison in shown]
    colours = [PALETTE[colour_number(comparison.treatment.level)] for comparison in shown]
    axes.hlines(range(len(shown)), [gain.low for gain in gains], [gain.high for gain in gains], colours, linewidth=1.4)
    axes.scatter([gain.mean for gain in gains], range(len(shown)), s=20, c=colours)
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.set_yticks(range(len(shown)), [comparison.label for comparison in shown])
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    # At the right end: beside long labels the axis is shorter than this text.
    axes.set_xlabel("gain over the baseline (points), mean and 95 % interval over pairs", loc="right")
    return figure


@dataclass(frozen=True)
class _Scale:
    """Maps percentage points to percent of the drawing's width. Values outside the range are put at its edge."""

    low: float
    high: float

    def at(self, value: float) -> float:
        return round(100 * (min(max(value, self.low), self.high) - self.low) / (self.high - self.low), 2)

    def holds(self, value: float) -> bool:
        return self.low <= value <= self.high


def gain_marks(rows: Sequence[Comparison | None]) -> tuple[Markup, list[Markup]]:
    """HTML markup for a table: the scale for the table's head, and each row's gain with its interval."""
    some = [comparison for comparison in rows if comparison is not None and comparison.seeds]
    if not some:
        return Markup(""), []
    scale = _common_scale(some)
    ends = Markup("").join(
        Markup('<text x="{}%" y="10" text-anchor="{}">{}</text>').format(
            scale.at(value), anchor, f"{value:+g}".replace("-", "−")
        )
        for value, anchor in ((scale.low, "start"), (scale.high, "end"))
    )
    marks = [Markup("") if row is None or not row.seeds else _gain_mark(row, scale) for row in rows]
    return Markup("<svg>{}</svg>").format(ends), marks


def _common_scale(found: Sequence[Comparison]) -> _Scale:
    """A common scale that is symmetric around zero.

    All mean gains fit on it. Very wide intervals, which come from few pairs, may be cut off.
    """
    gains = [comparison.gain for comparison in found]
    means = [abs(gain.mean) for gain in gains]
    widths = sorted(max(abs(gain.low), abs(gain.high)) for gain in gains if gain.n > 1)
    reach = widths[round(0.9 * (len(widths) - 1))] if widths else 0.0
    limit = 1.05 * max(*means, min(reach, 6 * max(*means, 0.2)), 0.1)
    step = 10 ** math.floor(math.log10(limit)) / 5
    limit = round(math.ceil(limit / step) * step, 6)  # a round number, which the table's head shows
    return _Scale(-limit, limit)


def _gain_mark(comparison: Comparison, scale: _Scale) -> Markup:
    gain, colour = comparison.gain, colour_number(comparison.treatment.level)
    whisker = _whisker(scale, gain.low, gain.high, 11, colour) if gain.n > 1 else Markup("")
    return Markup(
        '<svg><line x1="{0}%" x2="{0}%" y1="0" y2="22" style="stroke: var(--edge)"/>{1}'
        '<circle cx="{2}%" cy="11" r="3.6" style="fill: var(--c{3})"/></svg>'
    ).format(scale.at(0), whisker, scale.at(gain.mean), colour)


def _whisker(scale: _Scale, low: float, high: float, y: float, colour: int) -> Markup:
    """The line of an interval. An end outside the scale is marked with an arrow."""
    line = Markup(
        '<line x1="{}%" x2="{}%" y1="{y}" y2="{y}" style="stroke: var(--c{colour}); stroke-width: 1.8"/>'
    ).format(scale.at(low), scale.at(high), y=y, colour=colour)
    arrows = [("◂", "start", low), ("▸", "end", high)]
    return line + Markup("").join(
        Markup('<text x="{}%" y="{}" text-anchor="{}" style="fill: var(--c{}); font-size: 11px">{}</text>').format(
            scale.at(value), y + 4, anchor, colour, arrow
        )
        for arrow, anchor, value in arrows
        if not scale.holds(value)
    )

"""Figures as SVG text: accuracy curves, and the gains with their intervals.

One drawing serves the page and the file: its colours are CSS variables with a fallback, so that a page
can set them (for a dark screen), and a viewer without the page shows the fallback. The same input gives
the same bytes: no date, ids from a fixed salt.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
from markupsafe import Markup

from suite.grid.axes import is_usual, level_order
from suite.text import points
from suite.verdict.comparisons import Contrast
from suite.verdict.runs import CELL_FIELDS, cell_order, recipe_ids_tell

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from suite.verdict.verdicts import Verdict

# Okabe and Ito's colours, told apart with any kind of colour vision; grey is for the baseline. Named --c0 …
# in the page. Levels beyond these repeat the colours with another dash.
PALETTE = ("#6b7280", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d00")
DASHES = ("-", (0, (4, 1.5)), (0, (1, 1.2)))
_FIXED = {"default": 0, "lape": 1, "unshared": 2, "lape_shared": 3, "shared": 5}

INK, LINE = "#24292f", "#d0d7de"
_VARIABLES = {INK: "--ink", LINE: "--line", **{colour: f"--c{number}" for number, colour in enumerate(PALETTE)}}

MAX_PANELS = 24
MAX_GAINS = 40

_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "suite",
    "svg.fonttype": "none",  # text stays text
    "text.parse_math": False,  # a $ in a label is a $
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that measured widths don't depend on the machine
    "font.size": 8.5,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": INK,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "lines.linewidth": 1.6,
}


@dataclass(frozen=True)
class Line:
    """The accuracy (percent) of one cell by epoch: mean and sample standard deviation over n seeds."""

    join: str
    n: int
    epochs: tuple[float, ...]
    mean: tuple[float, ...]
    sd: tuple[float, ...]


@dataclass(frozen=True)
class Panel:
    """The cells that differ in their join alone. name: for a file, unique within a report."""

    name: str
    title: str
    lines: tuple[Line, ...]


def panels(frame: pd.DataFrame, history: pd.DataFrame, limit: int = MAX_PANELS) -> tuple[list[Panel], int]:
    """The accuracy curves of the finished runs, in the order of tables: the first `limit`, and how many there are."""
    others = [name for name in CELL_FIELDS if name != "join"]
    done = frame.loc[frame["status"] == "done", ["trial_id", *CELL_FIELDS]].drop_duplicates("trial_id")
    keys = [tuple(map(str, key)) for key in done[others].drop_duplicates().itertuples(index=False)]
    cells = sorted((dict(zip(others, key, strict=True)) for key in keys), key=cell_order)
    vary = {name for name in others if len({cell[name] for cell in cells}) > 1}
    if not recipe_ids_tell(cells):
        vary.discard("recipe_id")
    shown = pd.DataFrame(cells[:limit], columns=others).assign(panel=range(len(cells[:limit])))
    tested = history.loc[history["top1"].notna(), ["trial_id", "epoch", "top1"]]
    tested = tested.assign(epoch=tested["epoch"] + 1)  # how many epochs the model has been trained for
    joined = tested.merge(done.merge(shown, on=others), on="trial_id")
    curves = joined.groupby(["panel", "join", "epoch"])["top1"].agg(["mean", "std", "count"]).reset_index()
    found = []
    for number, cell in enumerate(cells[:limit]):
        lines = [
            Line(
                str(join),
                int(curve["count"].max()),
                tuple(curve["epoch"].astype(float)),
                tuple(curve["mean"].astype(float)),
                tuple(curve["std"].astype(float)),
            )
            for join, curve in curves[curves["panel"] == number].groupby("join")
        ]
        if lines:
            lines.sort(key=lambda line: level_order("join", line.join))
            found.append(Panel(f"curves-{number + 1:02d}", panel_title(cell, vary), tuple(lines)))
    return found, len(cells)


def draw_panels(drawn: Sequence[Panel]) -> dict[str, str]:
    """Each panel as SVG, by its name. Bands are ± 1 standard deviation over seeds."""
    if not drawn:
        return {}
    drawings = {}
    with style():
        # One sheet for all: to make axes takes matplotlib longer than to draw them.
        figure, axes = new_figure(3.5, 2.5)
        figure.subplots_adjust(left=0.14, right=0.99, bottom=0.16, top=0.97)
        axes.grid(axis="y")
        axes.set_xlabel("epoch")
        axes.set_ylabel("top-1 (%)")
        axes.locator_params(nbins=4)
        for panel in drawn:
            _plot(axes, panel)
            drawings[panel.name] = to_svg(figure, panel.name)
            for artist in (*axes.lines, *axes.collections, *axes.texts):
                artist.remove()
    return drawings


def draw_gains(found: Sequence[Contrast], limit: int = MAX_GAINS) -> str:
    """The first `limit` contrasts as dots with their 95 % intervals, around a line at zero."""
    shown = [contrast for contrast in found if contrast.seeds][:limit]
    with style():
        return to_svg(_gains(shown), "gains")


def colour_number(join: str) -> int:
    """The place of a join in `PALETTE`."""
    return _place(join) % len(PALETTE)


def _place(join: str) -> int:
    if join in _FIXED:
        return _FIXED[join]
    free = [place for place in range(len(PALETTE) * len(DASHES)) if place not in _FIXED.values()]
    place, name = level_order("join", join)
    return free[(place + sum(name.encode())) % len(free)]


def panel_title(cell: Mapping[str, str], vary: set[str]) -> str:
    """What a panel is of: its cell, without what all panels share. vary: the axes that they don't."""
    parts = [cell["arch"], cell["pe"], *(cell[name] for name in ("norm", "loss") if not is_usual(name, cell[name]))]
    parts += [cell[name] for name in ("dataset", "recipe") if name in vary]
    if "recipe_id" in vary:
        parts.append(cell["recipe_id"][:8])
    return " · ".join(parts)


def _plot(axes: Axes, panel: Panel) -> None:
    for line in panel.lines:
        place = _place(line.join)
        colour, dash = PALETTE[place % len(PALETTE)], DASHES[place // len(PALETTE)]
        dot = 4 if len(line.epochs) == 1 else 0
        axes.plot(line.epochs, line.mean, color=colour, linestyle=dash, marker="o", markersize=dot)
        if line.n > 1:
            low = [mean - sd for mean, sd in zip(line.mean, line.sd, strict=True)]
            high = [mean + sd for mean, sd in zip(line.mean, line.sd, strict=True)]
            axes.fill_between(line.epochs, low, high, color=colour, alpha=0.16, linewidth=0)
    first, last = min(line.epochs[0] for line in panel.lines), max(line.epochs[-1] for line in panel.lines)
    margin = 0.02 * (last - first) or 0.5
    axes.set_xlim(first - margin, last + margin)
    axes.set_ylim(*_limits(panel.lines))
    _key(axes, panel.lines)


def _key(axes: Axes, lines: Sequence[Line]) -> None:
    """The joins' names below the curves, at the right; matplotlib's own legend takes a third of the drawing's time."""
    left = 0.97 - 0.024 * max(len(line.join) for line in lines)
    for row, line in enumerate(reversed(lines)):
        place, y = _place(line.join), 0.06 + 0.085 * row
        colour, dash = PALETTE[place % len(PALETTE)], DASHES[place // len(PALETTE)]
        axes.plot([left - 0.1, left - 0.03], [y, y], color=colour, linestyle=dash, transform=axes.transAxes)
        axes.text(left, y, line.join, va="center_baseline", transform=axes.transAxes)


def _limits(lines: Sequence[Line]) -> tuple[float, float]:
    """From where the first fifth of the training ends: below it, all curves look the same, and the rest is flat."""
    floor = min(line.mean[min(math.ceil(len(line.mean) / 5), len(line.mean) - 1)] for line in lines)
    top = max(value for line in lines for value in line.mean)
    margin = max(0.08 * (top - floor), 0.5)
    return max(floor - margin, 0.0), min(top + margin, 100.5)


def _gains(shown: Sequence[Contrast]) -> Figure:
    figure, axes = new_figure(7.2, 0.9 + 0.26 * len(shown))
    # Fixed margins, in inches: matplotlib's own layout engine takes longer than the drawing.
    label = max((len(contrast.label) for contrast in shown), default=0)
    figure.subplots_adjust(left=min(0.075 * label + 0.1, 5.0) / 7.2, right=0.98, top=1 - 0.1 / figure.get_figheight(),
                           bottom=0.5 / figure.get_figheight())  # fmt: skip
    gains = [contrast.gain for contrast in shown]
    colours = [PALETTE[colour_number(contrast.treatment.level)] for contrast in shown]
    axes.hlines(range(len(shown)), [gain.low for gain in gains], [gain.high for gain in gains], colours, linewidth=1.4)
    axes.scatter([gain.mean for gain in gains], range(len(shown)), s=20, c=colours)
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.set_yticks(range(len(shown)), [contrast.label for contrast in shown])
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    axes.set_xlabel("gain over the baseline (points), mean and 95 % interval over pairs")
    return figure


def new_figure(width: float, height: float) -> tuple[Figure, Axes]:
    """A sheet of so many inches, with axes; to be used within `style`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    return figure, figure.add_subplot()


@contextmanager
def style() -> Iterator[None]:
    """What all drawings look like."""
    from matplotlib import rc_context

    with rc_context(_STYLE):
        yield


def to_svg(figure: Figure, name: str) -> str:
    """The figure as an `svg` element whose ids begin with `name`, so that several can stand in one page."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    # A style sheet inside the drawing would hold for the whole page around it.
    text = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", text[text.index("<svg") :], count=1, flags=re.DOTALL)
    text = re.sub(r'(\bid="|\burl\(#|href="#)', rf"\1{name}-", text)
    for colour, variable in _VARIABLES.items():
        text = text.replace(f": {colour}", f": var({variable}, {colour})")
    return text.replace("'DejaVu Sans'", "var(--sans, system-ui), sans-serif")


# ── small drawings inside the page: positions in percent, so that they stretch and their text doesn't ─────


@dataclass(frozen=True)
class _Scale:
    """Points → percent of a drawing's width; what lies outside is drawn at the edge, with an arrow."""

    low: float
    high: float

    def at(self, value: float) -> float:
        return round(100 * (min(max(value, self.low), self.high) - self.low) / (self.high - self.low), 2)

    def holds(self, value: float) -> bool:
        return self.low <= value <= self.high


def gain_marks(rows: Sequence[Contrast | None]) -> tuple[Markup, list[Markup]]:
    """Markup for a table: the scale, for its head, and on that scale each row's gain with its interval."""
    drawn = [contrast for contrast in rows if contrast is not None and contrast.seeds]
    if not drawn:
        return Markup(""), []
    scale = _common_scale(drawn)
    ends = Markup("").join(
        Markup('<text x="{}%" y="10" text-anchor="{}">{}</text>').format(
            scale.at(value), anchor, f"{value:+g}".replace("-", "−")
        )
        for value, anchor in ((scale.low, "start"), (scale.high, "end"))
    )
    marks = [Markup("") if row is None or not row.seeds else _gain_mark(row, scale) for row in rows]
    return Markup("<svg>{}</svg>").format(ends), marks


def _common_scale(found: Sequence[Contrast]) -> _Scale:
    """Symmetric around zero. All means fit; of the intervals, those of few pairs may be too wide to show."""
    gains = [contrast.gain for contrast in found]
    means = [abs(gain.mean) for gain in gains]
    widths = sorted(max(abs(gain.low), abs(gain.high)) for gain in gains if gain.n > 1)
    reach = widths[round(0.9 * (len(widths) - 1))] if widths else 0.0
    limit = 1.05 * max(*means, min(reach, 6 * max(*means, 0.2)), 0.1)
    step = 10 ** math.floor(math.log10(limit)) / 5
    limit = round(math.ceil(limit / step) * step, 6)  # a round number, for the head
    return _Scale(-limit, limit)


def _gain_mark(contrast: Contrast, scale: _Scale) -> Markup:
    gain, colour = contrast.gain, colour_number(contrast.treatment.level)
    whisker = _whisker(scale, gain.low, gain.high, 11, colour) if gain.n > 1 else Markup("")
    return Markup(
        '<svg><line x1="{0}%" x2="{0}%" y1="0" y2="22" style="stroke: var(--line)"/>{1}'
        '<circle cx="{2}%" cy="11" r="3.6" style="fill: var(--c{3})"/></svg>'
    ).format(scale.at(0), whisker, scale.at(gain.mean), colour)


def _whisker(scale: _Scale, low: float, high: float, y: float, colour: int) -> Markup:
    """An interval; an end that is cut off has an arrow."""
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


def effect(verdict: Verdict) -> Markup:
    """Markup for a verdict: the observed gain, its interval and its pairs, over the claimed gain ± margin."""
    claim, seen = verdict.claim, verdict.evidence
    if seen is None:
        return Markup("")
    colour = colour_number(claim.contrast.treatment)
    least, most = claim.claimed_gain - claim.margin, claim.claimed_gain + claim.margin
    limit = 4 * max(
        abs(least), abs(most), abs(seen.gain)
    )  # an interval of two or three pairs can be far wider than that
    interval = [] if math.isnan(seen.low) else [max(seen.low, -limit), min(seen.high, limit)]
    ends = [0.0, least, most, seen.gain, *interval]
    pad = 0.06 * (max(ends) - min(ends))
    scale = _Scale(min(ends) - pad, max(ends) + pad)
    said = f"Claimed {points(claim.claimed_gain)} with a margin of {claim.margin:.2f}; observed {points(seen.gain)}"
    dots = Markup("").join(
        Markup('<circle cx="{}%" cy="33" r="2.2" style="fill: var(--c{}); opacity: .45"/>').format(
            scale.at(gain), colour
        )
        for gain in seen.gains
        if scale.holds(gain)
    )
    claimed_at, zero_at = scale.at(claim.claimed_gain), scale.at(0)
    apart = abs(scale.at(seen.gain) - zero_at) > 25  # else the labels below would run into each other
    return Markup(
        '<svg class="effect" role="img" aria-label="{said}">'
        '<rect x="{least}%" width="{width}%" y="16" height="26" rx="3" style="fill: var(--line); opacity: .55"/>'
        '<line x1="{claimed}%" x2="{claimed}%" y1="16" y2="42" style="stroke: var(--soft); stroke-dasharray: 3 2"/>'
        '<text x="{claimed}%" y="11" text-anchor="{anchor}">claimed {gain}</text>'
        '<line x1="{zero}%" x2="{zero}%" y1="14" y2="46" style="stroke: var(--ink)"/>'
        '<text x="{zero}%" y="58" text-anchor="{zero_anchor}">0</text>'
        '{whisker}{dots}<circle cx="{seen}%" cy="24" r="5" style="fill: var(--c{colour})"/>'
        '<text x="{seen}%" y="58" text-anchor="{seen_anchor}" style="fill: var(--ink)">{observed}</text></svg>'
    ).format(
        said=said,
        least=scale.at(least),
        width=round(scale.at(most) - scale.at(least), 2),
        claimed=claimed_at,
        anchor=_anchor(claimed_at),
        gain=points(claim.claimed_gain),
        zero=zero_at,
        zero_anchor=_anchor(zero_at) if apart else "end" if seen.gain >= 0 else "start",
        whisker=_whisker(scale, seen.low, seen.high, 24, colour) if seen.pairs > 1 else "",
        dots=dots,
        seen=scale.at(seen.gain),
        colour=colour,
        seen_anchor=_anchor(scale.at(seen.gain)) if apart else "start" if seen.gain >= 0 else "end",
        observed=f"observed {points(seen.gain)}",
    )


def _anchor(percent: float) -> str:
    return "start" if percent < 15 else "end" if percent > 85 else "middle"

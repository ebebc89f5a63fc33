"""Figures as SVG text: accuracy curves, and the gains with their intervals.

One drawing serves the page and the file: its colours are CSS variables with a fallback, so that a page
can set them (for a dark screen), and a viewer without the page shows the fallback. The same input gives
the same bytes: no date, ids from a fixed salt.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from suite.grid.axes import level_order
from suite.report.figures.kept import drawn
from suite.report.figures.style import DASHES, PALETTE, line_style, new_figure, panel_title, style, to_svg
from suite.verdict.runs import CELL_FIELDS, cell_order, recipe_ids_tell

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


MAX_PANELS = 24


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
    import pandas as pd

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


def draw_panels(found: Sequence[Panel]) -> dict[str, str]:
    """Each panel as SVG, by its name. Bands are ± 1 standard deviation over seeds. Only what is new is drawn."""
    named = {panel.name: panel for panel in found}
    return drawn(named, lambda names: _draw([named[name] for name in names]))


def _draw(new: Sequence[Panel]) -> dict[str, str]:
    drawings = {}
    with style():
        # One sheet for all: to make axes takes matplotlib longer than to draw them.
        figure, axes = new_figure(3.5, 2.5)
        figure.subplots_adjust(left=0.14, right=0.99, bottom=0.16, top=0.97)
        axes.grid(axis="y")
        axes.set_xlabel("epoch")
        axes.set_ylabel("top-1 (%)")
        axes.locator_params(nbins=4)
        for panel in new:
            _plot(axes, panel)
            drawings[panel.name] = to_svg(figure, panel.name)
            for artist in (*axes.lines, *axes.collections, *axes.texts):
                artist.remove()
    return drawings


def _plot(axes: Axes, panel: Panel) -> None:
    for line in panel.lines:
        place = line_style(line.join)
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
        place, y = line_style(line.join), 0.06 + 0.085 * row
        colour, dash = PALETTE[place % len(PALETTE)], DASHES[place // len(PALETTE)]
        axes.plot([left - 0.1, left - 0.03], [y, y], color=colour, linestyle=dash, transform=axes.transAxes)
        axes.text(left, y, line.join, va="center_baseline", transform=axes.transAxes)


def _limits(lines: Sequence[Line]) -> tuple[float, float]:
    """From where the first fifth of the training ends: below it, all curves look the same, and the rest is flat."""
    floor = min(line.mean[min(math.ceil(len(line.mean) / 5), len(line.mean) - 1)] for line in lines)
    top = max(value for line in lines for value in line.mean)
    margin = max(0.08 * (top - floor), 0.5)
    return max(floor - margin, 0.0), min(top + margin, 100.5)

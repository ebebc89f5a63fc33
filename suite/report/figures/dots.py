"""Accuracies of single seeds as SVG text, a row of dots per joining method: for runs with too few tests for a curve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from suite.report.figures.style import LINE, PALETTE, line_style, new_figure, style, to_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from suite.report.figures.curves import Panel

_MOST_SPREAD = 15.0  # percentage points
_ROW, _MARGIN = 0.36, 0.62  # inches: the height of a row, and of what is below and above all rows


def common_limits(panels: Sequence[Panel]) -> tuple[float, float] | None:
    """The limits of one axis for all panels, in percent; None if their accuracies are too far apart to share one."""
    values = [top1 for panel in panels for line in panel.lines for _, top1 in line.last]
    if not values or max(values) - min(values) > _MOST_SPREAD:
        return None
    margin = max(0.06 * (max(values) - min(values)), 0.1)
    return min(values) - margin, max(values) + margin


def draw_dots(panels: Sequence[Panel], limits: tuple[float, float] | None) -> dict[str, str]:
    """Each panel as SVG, by its name: a dot per seed, a tick at the mean, thin lines between the runs of one seed.

    limits: of the axis of all panels; None: each has its own.
    """
    drawings = {}
    with style():
        for panel in panels:
            height = _MARGIN + _ROW * len(panel.lines)
            figure, axes = new_figure(3.5, height)
            names = max(len(line.join) for line in panel.lines)
            figure.subplots_adjust(
                left=min(0.06 + 0.021 * names, 0.5), right=0.97, bottom=0.44 / height, top=1 - 0.08 / height
            )
            _plot(axes, panel)
            if limits is not None:
                axes.set_xlim(*limits)
            drawings[panel.name] = to_svg(figure, panel.name)
    return drawings


def _plot(axes: Axes, panel: Panel) -> None:
    rows = [dict(line.last) for line in panel.lines]
    for seed in sorted({seed for row in rows for seed in row}):
        places = [place for place, row in enumerate(rows) if seed in row]
        axes.plot([rows[place][seed] for place in places], places, color=LINE, linewidth=0.8)
    for place, line in enumerate(panel.lines):
        colour = PALETTE[line_style(line.join) % len(PALETTE)]
        axes.plot(list(rows[place].values()), [place] * len(rows[place]), color=colour, linestyle="none", marker="o",
                  markersize=4.5, markerfacecolor="none", markeredgewidth=1.2)  # fmt: skip
        axes.vlines(line.mean[-1], place - 0.28, place + 0.28, colors=colour, linewidth=2)
    axes.set_yticks(range(len(rows)), [line.join for line in panel.lines])
    axes.set_ylim(len(rows) - 0.45, -0.55)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    axes.locator_params(axis="x", nbins=4)
    axes.set_xlabel(f"{panel.accuracy.lower()} (%) at the end")

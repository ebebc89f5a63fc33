"""Figures of the gain on each kind of corruption."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from suite.report.figures.kept import drawn
from suite.report.figures.style import INK, PALETTE, colour_number, new_figure, style, to_svg
from suite.report.tables.corruptions import ALL, KindGains

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_FIGURES = 20


def draw_kinds(found: Sequence[KindGains], limit: int = MAX_FIGURES) -> dict[str, str]:
    """Draw the first `limit` comparisons as SVG, by the name of the figure: a dot and an interval for each kind."""
    shown = {f"corruptions-{number:02}": one for number, one in enumerate(found[:limit], 1)}
    return drawn(shown, lambda names: {name: _draw(shown[name], name) for name in names})


def _draw(one: KindGains, name: str) -> str:
    with style():
        return to_svg(_figure(one), name)


def _figure(one: KindGains) -> Figure:
    figure, axes = new_figure(7.2, 0.9 + 0.22 * len(one.gains))
    height = figure.get_figheight()
    figure.subplots_adjust(left=1.5 / 7.2, right=0.98, top=1 - 0.1 / height, bottom=0.5 / height)
    places, gains = range(len(one.gains)), list(one.gains.values())
    colours = [INK if kind == ALL else PALETTE[colour_number(one.treatment)] for kind in one.gains]
    axes.hlines(places, [gain.low for gain in gains], [gain.high for gain in gains], colours, linewidth=1.4)
    axes.scatter([gain.mean for gain in gains], places, s=20, c=colours)
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.set_yticks(places, [kind.replace("_", " ") for kind in one.gains])
    axes.set_ylim(len(gains) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    axes.set_xlabel("by how much the error falls (points), mean and 95 % interval over pairs")
    return figure

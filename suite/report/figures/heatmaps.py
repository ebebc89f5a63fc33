"""Heat maps of the results of `suite.models.inspection`: a panel per layer, with one colour scale for all panels."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from suite.report.figures.style import INK, style, to_svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 4
DPI = 200
_PANEL, _GAP, _HEAD, _SIDE, _BAR = 1.6, 0.12, 0.2, 0.1, 0.09  # inches; `_HEAD` is the height of a panel's title


@dataclass(frozen=True)
class Heatmap:
    """One panel.

    Args:
        title: the title above the panel.
        values: [rows, columns].
        marked: the (row, column) of a cell to mark; optional.
    """

    title: str
    values: npt.NDArray[np.float64]
    marked: tuple[int, int] | None = None


@dataclass(frozen=True)
class Scale:
    """The colour bar.

    Args:
        label: the quantity that it shows.
        low: the value at the lower end.
        high: the value at the upper end.
        colours: the name of a matplotlib colour map.
    """

    label: str
    low: float
    high: float
    colours: str = "viridis"


@dataclass(frozen=True)
class Drawing:
    """One figure, as SVG text and as the bytes of a PNG. The same input gives the same bytes."""

    svg: str
    png: bytes


def draw(maps: Sequence[Heatmap], title: str, subtitle: str, scale: Scale, name: str) -> Drawing:
    """Draw heat maps as one figure, in rows of four.

    Args:
        maps: the panels.
        title: the title of the figure.
        subtitle: a second line below the title.
        scale: the colour scale of all panels.
        name: the prefix of the ids in the SVG.
    """
    with style():
        figure = _figure(maps, title, subtitle, scale)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=DPI, facecolor="white", metadata={"Software": None})
        return Drawing(to_svg(figure, name), buffer.getvalue())


def _figure(maps: Sequence[Heatmap], title: str, subtitle: str, scale: Scale) -> Figure:
    from matplotlib.figure import Figure

    # The figure is at least two panels wide, so that the titles fit.
    across, down = max(2, min(COLUMNS, len(maps))), math.ceil(len(maps) / COLUMNS)
    top, right = 0.46, 0.7
    width = _SIDE + across * (_PANEL + _GAP) + right
    height = top + down * (_PANEL + _HEAD) + _SIDE
    figure = Figure(figsize=(width, height), dpi=DPI)
    figure.text(_SIDE / width, 1 - 0.17 / height, title, fontweight="bold", va="center")
    figure.text(_SIDE / width, 1 - 0.34 / height, subtitle, va="center")
    for index, heatmap in enumerate(maps):
        row, column = divmod(index, across)
        bottom = height - top - row * (_PANEL + _HEAD) - _HEAD - _PANEL
        place = (_SIDE + column * (_PANEL + _GAP)) / width, bottom / height, _PANEL / width, _PANEL / height
        axes = figure.add_axes(place)
        image = axes.imshow(heatmap.values, cmap=scale.colours, vmin=scale.low, vmax=scale.high, aspect="auto")
        axes.set_title(heatmap.title, fontsize=7.5, pad=2.5)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
        if heatmap.marked is not None:
            y, x = heatmap.marked
            axes.scatter([x], [y], s=9, facecolor="none", edgecolor=INK, linewidth=0.7)
    reach = down * (_PANEL + _HEAD) - _HEAD
    bar = figure.add_axes(((width - right + 0.02) / width, _SIDE / height, _BAR / width, reach / height))
    figure.colorbar(image, cax=bar, label=scale.label)
    bar.tick_params(labelsize=7, length=2)
    return figure

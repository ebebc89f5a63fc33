"""Interaction plots. The lines of a plot are parallel if the gains of two methods add up."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from suite.grid.axes import GRID_ORDER, is_usual
from suite.report.figures.kept import drawn
from suite.report.figures.style import DASHES, INK, PALETTE, style, to_svg
from suite.verdict.interactions import Factorial
from suite.verdict.stats.blocked import Levels


@dataclass(frozen=True)
class Line:
    """One line of a panel: for one level of the second axis, the mean top-1 (percent) at each level of the first.

    The mean is NaN if a cell is missing.
    """

    level: str
    means: tuple[float, ...]


@dataclass(frozen=True)
class Panel:
    """The plot of two axes of a factorial. Values are means over the common seeds and over all other axes.

    Args:
        along: the axis on the x axis.
        levels: its levels.
        by: the other axis, which has a line per level.
        lines: these lines.
    """

    along: str
    levels: Levels
    by: str
    lines: tuple[Line, ...]


def panels(factorial: Factorial) -> list[Panel]:
    """One panel for each pair of axes. Means are over the common seeds; NaN if one of the mean's cells has no run."""
    seeds = _common_seeds(factorial)
    found = []
    for along, by in itertools.combinations(factorial.axes, 2):
        lines = tuple(
            Line(level, tuple(_mean(factorial, {along: one, by: level}, seeds) for one in factorial.axes[along]))
            for level in factorial.axes[by]
        )
        found.append(Panel(along, factorial.axes[along], by, lines))
    return found


def title(factorial: Factorial) -> str:
    """The levels that all cells of a factorial share, on one line."""
    cell = factorial.cell
    names = [*(name for name in GRID_ORDER if name in cell), "recipe"]
    return " · ".join(cell[name] for name in names if not is_usual(name, cell[name]))


def draw(factorial: Factorial, name: str) -> str:
    """Draw the panels of a factorial side by side, as SVG. Ids in the SVG begin with `name`."""
    from matplotlib.figure import Figure

    shown = panels(factorial)
    values = [mean for panel in shown for line in panel.lines for mean in line.means if not math.isnan(mean)]
    with style():
        width = 0.6 + 2.55 * len(shown)
        figure = Figure(figsize=(width, 2.6))
        figure.subplots_adjust(left=0.6 / width, right=1 - 0.08 / width, bottom=0.2, top=0.88, wspace=0.12)
        for number, panel in enumerate(shown):
            axes = figure.add_subplot(1, len(shown), number + 1)
            for place, line in enumerate(panel.lines):
                colour = PALETTE[place % len(PALETTE)]
                dash = DASHES[place // len(PALETTE) % len(DASHES)]
                axes.plot(range(len(panel.levels)), line.means, color=colour, linestyle=dash, marker="o", markersize=4)
            for place, line in enumerate(reversed(panel.lines)):
                colour = PALETTE[(len(panel.lines) - 1 - place) % len(PALETTE)]
                axes.text(0.97, 0.05 + 0.085 * place, line.level, color=colour, ha="right", transform=axes.transAxes)
            axes.set_xticks(range(len(panel.levels)), panel.levels)
            axes.set_xlim(-0.25, len(panel.levels) - 0.75)
            if values:
                margin = max(0.08 * (max(values) - min(values)), 0.05)
                axes.set_ylim(min(values) - 4 * margin, max(values) + margin)
            axes.set_title(f"{panel.along} × {panel.by}", fontsize=8.5, color=INK)
            axes.grid(axis="y")
            if number:
                axes.tick_params(axis="y", labelleft=False)
            else:
                axes.set_ylabel("top-1 (%)")
        return to_svg(figure, name)


def draw_all(found: Sequence[Factorial]) -> dict[str, str]:
    """Each factorial's figure as SVG, by its name. Cached drawings are reused."""
    factorials = {f"interactions-{number:02d}": factorial for number, factorial in enumerate(found, 1)}
    shown = {name: (panels(factorial), title(factorial)) for name, factorial in factorials.items()}
    return drawn(shown, lambda names: {name: draw(factorials[name], name) for name in names})


def _common_seeds(factorial: Factorial) -> tuple[int, ...]:
    """The seeds that all cells with runs have. Differences between lines then don't come from different seeds."""
    have = [set(its) for its in factorial.values.values() if its]
    return tuple(sorted(set.intersection(*have))) if have else ()


def _mean(factorial: Factorial, levels: Mapping[str, str], seeds: Sequence[int]) -> float:
    cells = [
        cell
        for cell in factorial.cells
        if all(levels.get(axis, level) == level for axis, level in zip(factorial.axes, cell, strict=True))
    ]
    if not seeds or any(not factorial.values.get(cell) for cell in cells):
        return math.nan
    return math.fsum(factorial.values[cell][seed] for cell in cells for seed in seeds) / (len(cells) * len(seeds))

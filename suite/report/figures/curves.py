"""Accuracy curves as SVG text.

The same drawing is used in the HTML page and as a file. Its colours are CSS variables with fallback values: the page
can set them, for example in dark mode, and other viewers show the fallback. The same input gives the same bytes: the
SVG contains no date, and its ids are hashes with a fixed salt.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from suite.grid.axes import level_order
from suite.report.figures.dots import common_limits, draw_dots
from suite.report.figures.kept import drawn
from suite.report.figures.style import DASHES, PALETTE, line_style, new_figure, panel_title, style, to_svg
from suite.verdict.runs import CELL_FIELDS, cell_order, recipe_ids_tell

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from suite.verdict.runs import Frame


MAX_PANELS = 24
LEAST_TESTS = 3  # of a training run that is drawn as a curve


@dataclass(frozen=True)
class Line:
    """The test accuracy (percent) of one cell after each tested epoch.

    Args:
        join: the joining method of the cell.
        n: the number of seeds.
        epochs: the number of epochs that the model had been trained for.
        mean: the mean accuracy over seeds, for each of `epochs`.
        sd: the sample standard deviation over seeds; NaN for one seed.
        last: the accuracy of each seed after the last of `epochs`, as (seed index, percent).
    """

    join: str
    n: int
    epochs: tuple[float, ...]
    mean: tuple[float, ...]
    sd: tuple[float, ...]
    last: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class Panel:
    """One figure: the cells that differ only in their joining method.

    With fewer than three tests in a training run there is no curve to see: the figure then has a dot for each seed.

    Args:
        name: the file name without a suffix; unique within a report.
        title: the levels that the cells share.
        lines: one curve per joining method.
        trials: the ids of the runs.
        accuracy: what their accuracy is called.
    """

    name: str
    title: str
    lines: tuple[Line, ...]
    trials: tuple[str, ...] = field(default=(), repr=False)
    accuracy: str = "Top-1"

    @property
    def has_curves(self) -> bool:
        """Whether some cell was tested often enough for a curve."""
        return max(len(line.epochs) for line in self.lines) >= LEAST_TESTS


def panels(
    frame: Frame, history: pd.DataFrame, limit: int = MAX_PANELS, accuracy: str = "Top-1"
) -> tuple[list[Panel], int]:
    """Collect the accuracy curves of the finished runs, in the order of the tables.

    Args:
        frame: the runs, as `suite.store.load_frame` returns them, or its columns as lists.
        history: their epochs, as `suite.store.load_history` returns them.
        limit: the largest number of panels to return.
        accuracy: what the accuracy of these runs is called.

    Returns:
        The first `limit` panels, and the number of all panels.
    """
    import pandas as pd

    others = [name for name in CELL_FIELDS if name != "join"]
    columns = {name: list(frame[name]) for name in ("status", "trial_id", "seed_index", *CELL_FIELDS)}
    rows = pd.DataFrame(columns, dtype="str")
    done = rows.loc[rows["status"] == "done", ["trial_id", "seed_index", *CELL_FIELDS]].drop_duplicates("trial_id")
    keys = [tuple(map(str, key)) for key in done[others].drop_duplicates().itertuples(index=False)]
    cells = sorted((dict(zip(others, key, strict=True)) for key in keys), key=cell_order)
    vary = {name for name in others if len({cell[name] for cell in cells}) > 1}
    if not recipe_ids_tell(cells):
        vary.discard("recipe_id")
    shown = pd.DataFrame(cells[:limit], columns=others).assign(panel=range(len(cells[:limit])))
    tested = history.loc[history["top1"].notna(), ["trial_id", "epoch", "top1"]]
    tested = tested.assign(epoch=tested["epoch"] + 1)  # the number of completed epochs
    joined = tested.merge(done.merge(shown, on=others), on="trial_id")
    curves = joined.groupby(["panel", "join", "epoch"])["top1"].agg(["mean", "std", "count"]).reset_index()
    final = joined[joined["epoch"] == joined.groupby(["panel", "join"])["epoch"].transform("max")]
    found = []
    for number, cell in enumerate(cells[:limit]):
        ends = final[final["panel"] == number]
        lines = [
            Line(
                str(join),
                int(curve["count"].max()),
                tuple(curve["epoch"].astype(float)),
                tuple(curve["mean"].astype(float)),
                tuple(curve["std"].astype(float)),
                _by_seed(ends[ends["join"] == join]),
            )
            for join, curve in curves[curves["panel"] == number].groupby("join")
        ]
        if lines:
            lines.sort(key=lambda line: level_order("join", line.join))
            trials = sorted(set(joined.loc[joined["panel"] == number, "trial_id"].astype(str)))
            name, title = f"curves-{number + 1:02d}", panel_title(cell, vary)
            found.append(Panel(name, title, tuple(lines), tuple(trials), accuracy))
    return found, len(cells)


def _by_seed(ends: pd.DataFrame) -> tuple[tuple[int, float], ...]:
    return tuple(sorted((int(seed), float(top1)) for seed, top1 in zip(ends["seed_index"], ends["top1"], strict=True)))


def draw_panels(found: Sequence[Panel]) -> dict[str, str]:
    """Each panel as SVG, by its name. Bands are ± 1 standard deviation over seeds. Cached drawings are reused."""
    limits = common_limits([panel for panel in found if not panel.has_curves])
    named = {panel.name: panel for panel in found}
    shown = {name: panel if panel.has_curves else (panel, limits) for name, panel in named.items()}
    return drawn(shown, lambda names: _draw_all([named[name] for name in names], limits))


def _draw_all(new: Sequence[Panel], limits: tuple[float, float] | None) -> dict[str, str]:
    dots = [panel for panel in new if not panel.has_curves]
    return {**_draw([panel for panel in new if panel.has_curves]), **draw_dots(dots, limits)}


def _draw(new: Sequence[Panel]) -> dict[str, str]:
    drawings = {}
    with style():
        # All panels reuse one figure, because matplotlib needs more time to create axes than to draw them.
        figure, axes = new_figure(3.5, 2.5)
        figure.subplots_adjust(left=0.14, right=0.96, bottom=0.16, top=0.97)
        axes.grid(axis="y")
        axes.set_xlabel("epoch")
        axes.locator_params(nbins=4)
        axes.locator_params(axis="x", integer=True)
        for panel in new:
            axes.set_ylabel(f"{panel.accuracy.lower()} (%)")
            _plot(axes, panel)
            drawings[panel.name] = to_svg(figure, panel.name)
            for artist in (*axes.lines, *axes.collections, *axes.texts):
                artist.remove()
    return drawings


def _plot(axes: Axes, panel: Panel) -> None:
    for line in panel.lines:
        place = line_style(line.join)
        colour, dash = PALETTE[place % len(PALETTE)], DASHES[place // len(PALETTE)]
        axes.plot(line.epochs, line.mean, color=colour, linestyle=dash)
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
    """Draw a legend at the right, as low as no curve is. It replaces matplotlib's, a third of the drawing time."""
    left = 0.97 - 0.024 * max(len(line.join) for line in lines)
    bottom = _free_height(axes, lines, left - 0.1, 0.085 * len(lines))
    for row, line in enumerate(reversed(lines)):
        place, y = line_style(line.join), bottom + 0.085 * row
        colour, dash = PALETTE[place % len(PALETTE)], DASHES[place // len(PALETTE)]
        axes.plot([left - 0.1, left - 0.03], [y, y], color=colour, linestyle=dash, transform=axes.transAxes)
        axes.text(left, y, line.join, va="center_baseline", transform=axes.transAxes)


def _free_height(axes: Axes, lines: Sequence[Line], left: float, height: float) -> float:
    """The lowest place, in parts of the axes, for something so high that no curve crosses right of `left`."""
    (first, last), (low, high) = axes.get_xlim(), axes.get_ylim()
    taken = [
        (mean - low) / (high - low)
        for line in lines
        for epoch, mean in zip(line.epochs, line.mean, strict=True)
        if epoch >= first + left * (last - first)
    ]
    heights = [0.06 + 0.05 * step for step in range(16)]
    free = (at for at in heights if not any(at - 0.06 < value < at + height - 0.02 for value in taken))
    return next(free, heights[0])


def _limits(lines: Sequence[Line]) -> tuple[float, float]:
    """The limits of the y axis: from the accuracy after the first fifth of the epochs to the highest one.

    With the first epochs included, the differences between the curves would be too small to see.
    """
    floor = min(line.mean[min(math.ceil(len(line.mean) / 5), len(line.mean) - 1)] for line in lines)
    top = max(value for line in lines for value in line.mean)
    margin = max(0.08 * (top - floor), 0.5)
    return max(floor - margin, 0.0), min(top + margin, 100.5)

"""Figures of the similarity between an image's patches after each block, for grids that compare losses.

DiversePatch (arXiv 2104.12753) claims that its losses make patches less similar.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from suite.grid.axes import level_order
from suite.report.figures.kept import drawn
from suite.report.figures.style import DASHES, PALETTE, new_figure, panel_title, style, to_svg
from suite.verdict.runs import CELL_FIELDS, cell_order

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from suite.verdict.runs import Frame

MAX_FIGURES = 12


@dataclass(frozen=True)
class Layers:
    """The mean |cos| between two patches of an image after each block, for one loss.

    Args:
        loss: the loss that the models were trained with.
        n: the number of seeds.
        mean: the mean over seeds, after each block.
        sd: the sample standard deviation over seeds; NaN for one seed.
    """

    loss: str
    n: int
    mean: tuple[float, ...]
    sd: tuple[float, ...]


@dataclass(frozen=True)
class Likeness:
    """One figure: cells that differ only in their loss, at their last test.

    Args:
        name: the file name without a suffix; unique within a report.
        title: the levels that the cells share.
        lines: one line per loss.
    """

    name: str
    title: str
    lines: tuple[Layers, ...]


def likenesses(frame: Frame, history: pd.DataFrame, limit: int = MAX_FIGURES) -> list[Likeness]:
    """Collect the patch similarities of the finished runs, where several losses are compared.

    Args:
        frame: the runs, as `suite.store.load_frame` returns them, or its columns as lists.
        history: their epochs, as `suite.store.load_history` returns them.
        limit: the largest number of figures to return, in the order of the tables.
    """
    import pandas as pd

    if "similarity" not in history:
        return []
    others = [name for name in CELL_FIELDS if name != "loss"]
    columns = {name: list(frame[name]) for name in ("status", "trial_id", *CELL_FIELDS)}
    rows = pd.DataFrame(columns, dtype="str")
    done = rows.loc[rows["status"] == "done", ["trial_id", *CELL_FIELDS]].drop_duplicates("trial_id")
    known = history.loc[history["similarity"].notna(), ["trial_id", "epoch", "similarity"]]
    last = known.sort_values("epoch").groupby("trial_id", as_index=False).last()
    found = []
    for key, group in done.merge(last, on="trial_id").groupby(others):
        cell = dict(zip(others, map(str, key), strict=True))
        lines = []
        for loss, runs in group.groupby("loss"):
            values = pd.DataFrame(runs["similarity"].tolist())
            lines.append(Layers(str(loss), len(runs), tuple(values.mean()), tuple(values.std())))
        if len(lines) > 1:
            found.append((cell, tuple(sorted(lines, key=lambda line: level_order("loss", line.loss)))))
    found.sort(key=lambda one: cell_order(one[0]))
    vary = {name for name in others if name != "recipe_id" and len({cell[name] for cell, _ in found}) > 1}
    return [
        Likeness(f"similarity-{number:02d}", _title(cell, vary), lines)
        for number, (cell, lines) in enumerate(found[:limit], 1)
    ]


def _title(cell: Mapping[str, str], vary: set[str]) -> str:
    join = [cell["join"]] if cell["join"] != "default" or "join" in vary else []
    return " · ".join([panel_title({**cell, "loss": "default"}, vary), *join])


def draw_likenesses(found: Sequence[Likeness]) -> dict[str, str]:
    """Each figure as SVG, by its name. Bands are ± 1 standard deviation over seeds. Cached drawings are reused."""
    named = {likeness.name: likeness for likeness in found}
    return drawn(named, lambda names: {name: _draw(named[name]) for name in names})


def _draw(likeness: Likeness) -> str:
    with style():
        figure, axes = new_figure(7.2, 2.9)
        figure.subplots_adjust(left=0.08, right=0.66, bottom=0.16, top=0.96)
        axes.grid(axis="y")
        axes.set_xlabel("block")
        axes.set_ylabel("mean |cos| between patches")
        for row, line in enumerate(likeness.lines):
            _plot(axes, line, row)
        axes.set_xlim(1 - 0.1, max(len(line.mean) for line in likeness.lines) + 0.1)
        axes.locator_params(axis="x", integer=True)
        axes.set_ylim(0, 1.08 * max(mean for line in likeness.lines for mean in line.mean))
        return to_svg(figure, likeness.name)


def _plot(axes: Axes, line: Layers, row: int) -> None:
    place, _ = level_order("loss", line.loss)  # the baseline is first and grey
    colour, dash = PALETTE[place % len(PALETTE)], DASHES[place // len(PALETTE) % len(DASHES)]
    blocks = range(1, len(line.mean) + 1)
    axes.plot(blocks, line.mean, color=colour, linestyle=dash, marker="o", markersize=3)
    if line.n > 1:
        low, high = ([m + sign * sd for m, sd in zip(line.mean, line.sd, strict=True)] for sign in (-1, 1))
        axes.fill_between(blocks, low, high, color=colour, alpha=0.16, linewidth=0)
    y = 0.96 - 0.09 * row
    axes.plot([1.03, 1.09], [y, y], color=colour, linestyle=dash, transform=axes.transAxes, clip_on=False)
    axes.text(1.11, y, f"{line.loss} {line.mean[-1]:.2f}", va="center_baseline", transform=axes.transAxes)


def ends(lines: Sequence[Layers]) -> str:
    """The similarity after the last block for each loss, as a sentence."""
    return "; ".join(f"{line.loss} {line.mean[-1]:.2f} (n = {line.n})" for line in lines)

"""Tables of a grid's runs: a row per cell, with its mean, its spread, its gain over the default, and its cost.

`summary` holds raw numbers; the renderers show the same columns, rounded, with notes for whatever a
number alone would hide: failed trials, seeds without a counterpart, mixed environments.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from suite.report.tables import render
from suite.report.tables.render import NONE, budget_note, open_table
from suite.report.tables.rows import Row, columns_shown, raw_frame, rows
from suite.store.files import write_atomic
from suite.text import csv_text, points
from suite.verdict import stats
from suite.verdict.comparisons import Contrast

if TYPE_CHECKING:
    from rich.table import Table as RichTable


HEADS = {
    "dataset": "Data",
    "arch": "Architecture",
    "pe": "PE",
    "norm": "Norm",
    "loss": "Loss",
    "recipe": "Recipe",
    "recipe_id": "Recipe id",
    "join": "Join",
    "n": "n",
    "top1": "Top-1 (%)",
    "best_epoch": "Best epoch, optimistic (%)",
    "gain": "Gain (points) [95 %]",
    "pairs": "Pairs",
    "params": "Params",
    "macs": "MACs",
    "notes": "Notes",
}
FULL_WIDTH = 100  # columns of a terminal that take the whole table
_FOLDED = 12  # columns that an architecture's name keeps where it is folded
_TEXT_COLUMNS = ("dataset", "arch", "pe", "norm", "loss", "recipe", "recipe_id", "join", "notes")
_LEFT = tuple(HEADS[name] for name in _TEXT_COLUMNS)

LEGEND = (
    "Top-1 of the last epoch: mean ± sample standard deviation over n seeds. "
    "Best epoch: the best epoch on the test set itself, which is optimistic. "
    "Gain: over the default joining, mean over pairs of the same seed, with its 95 % t interval."
)
_OTHER_GAINS = (
    "Gains of rows with the default joining: over the default loss, or else over the architecture's usual norm (ln, or "
    "bn of convolutional networks)."
)


def display(cells: Sequence[Row]) -> tuple[pd.DataFrame, list[str]]:
    """The table as text, a column per entry of `HEADS` that is used, and its notes, numbered from 1."""
    numbers = {text: place for place, text in enumerate(dict.fromkeys(n for row in cells for n in row.notes), 1)}
    axes = columns_shown(cells)
    shown = [
        {
            **{name: row.cell[name] for name in axes},
            "n": str(row.top1.n),
            "top1": mean_sd(row.top1),
            "best_epoch": mean_sd(row.best_epoch),
            "gain": gain_text(row.contrast),
            "pairs": NONE if row.contrast is None else str(len(row.contrast.seeds)),
            "params": count_text(row.params),
            "macs": count_text(row.macs),
            "notes": ", ".join(str(numbers[note]) for note in row.notes),
        }
        for row in cells
    ]
    table = pd.DataFrame(shown, columns=[*axes, "n", "top1", "best_epoch", "gain", "pairs",
                                         "params", "macs", "notes"])  # fmt: skip
    if not numbers:
        table = table.drop(columns="notes")
    return table, list(numbers)


def general_notes(cells: Sequence[Row], budget: str = "") -> list[str]:
    """What holds for the table as a whole: its budget, what its columns mean, and whether n differs between rows."""
    counts = sorted({row.top1.n for row in cells})
    axes = {row.contrast.axis for row in cells if row.contrast is not None}
    other = [_OTHER_GAINS] if axes - {"join"} else []
    uneven = [f"n differs between rows: from {counts[0]} to {counts[-1]} seeds."] if len(counts) > 1 else []
    return [*budget_note(budget), LEGEND, *other, *uneven]


def to_csv(frame: pd.DataFrame) -> str:
    """The summary, unrounded (ten digits; UTF-8; a header line)."""
    return _csv(rows(frame))


def _csv(cells: Sequence[Row], budget: str = "") -> str:
    table = raw_frame(cells).assign(budget=budget) if budget else raw_frame(cells)
    return csv_text(table.to_dict("records"), columns=list(table.columns), digits=10)


def to_markdown(frame: pd.DataFrame) -> str:
    """The table for GitHub and its like, with the notes below it."""
    return _markdown(rows(frame))


def _markdown(cells: Sequence[Row], budget: str = "") -> str:
    table, notes = display(cells)
    return render.markdown(table.rename(columns=HEADS), _LEFT, render.numbered(general_notes(cells, budget), notes))


def to_latex(frame: pd.DataFrame) -> str:
    r"""The table for a paper, with booktabs rules (`\usepackage{booktabs}`), and the notes as a second tabular."""
    return _tex(rows(frame))


def _tex(cells: Sequence[Row], budget: str = "") -> str:
    table, notes = display(cells)
    return render.latex(table.rename(columns=HEADS), _LEFT, general_notes(cells, budget), notes)


def to_html(frame: pd.DataFrame) -> str:
    """The table as an HTML fragment without style: a `table`, and the notes in paragraphs."""
    from suite.report.templates import template

    view = table_view(rows(frame))
    return "".join(template(name).render(view) for name in ("table.html.j2", "table_notes.html.j2"))


def table_view(cells: Sequence[Row], budget: str = "") -> dict[str, Any]:
    """What the HTML template of the table is filled with: groups of rows that differ in their join alone."""
    table, notes = display(cells)
    axes = [name for name in columns_shown(cells) if name != "join"]
    common = [name for name in axes if name in ("dataset", "recipe") and table[name].nunique() == 1]
    groups: list[tuple[str, list[tuple[int, dict[str, str]]]]] = []
    for place, text in enumerate(table.to_dict("records")):
        if not place or _block(cells[place - 1]) != _block(cells[place]):
            groups.append((" · ".join(text[name] for name in axes if name not in common), []))
        groups[-1][1].append((place, {str(name): str(value) for name, value in text.items()}))
    order = ("join", "top1", "n", "gain", "pairs", "best_epoch", "params", "macs", "notes")
    return {
        "names": [name for name in order if name in table.columns] if cells else [],
        "common": ", ".join(table[name].iloc[0] for name in common),
        "heads": HEADS,
        "text_columns": _TEXT_COLUMNS,
        "groups": groups,
        "notes": notes,
        "general_notes": general_notes(cells, budget),
        "plots": [],
    }


def to_terminal(frame: pd.DataFrame, width: int = FULL_WIDTH, budget: str = "") -> RichTable:
    """The table for a terminal; what is the same in all rows stands in its title, once.

    width: the terminal's columns; below FULL_WIDTH, or where they don't fit, the costs are left to the report, and so
    are the intervals if names would be broken otherwise. budget: in what the runs are smaller than the paper's.
    """
    from rich.cells import cell_len
    from rich.text import Text

    cells = rows(frame)
    shown, notes = display(cells)
    constant = [name for name in ("dataset", "recipe") if name in shown and shown[name].nunique() == 1]
    axes = columns_shown(cells)
    left_out = {*constant, "best_epoch", "pairs"}
    title = ", ".join(str(shown[name].iloc[0]) for name in constant)
    below = render.numbered([text for text in general_notes(cells, budget) if text != LEGEND], notes)
    heads = {**HEADS, "arch": "Arch.", "top1": "Top-1 (%)", "notes": "Note"}
    widths = {name: 2 + max(map(cell_len, (heads[name], *shown[name]))) for name in shown.columns}
    if width < max(FULL_WIDTH, sum(widths[name] for name in shown.columns if name not in left_out) - 2):
        left_out |= {"params", "macs"}
    columns = [name for name in shown.columns if name not in left_out]
    needed = sum(widths[name] for name in columns) - 2
    folded = max(0, widths["arch"] - 2 - _FOLDED) if width >= FULL_WIDTH else 0
    narrow = width < needed - folded
    if narrow:
        shown["gain"] = shown["gain"].str.partition(" ")[0]
        heads["gain"] = "Gain"
        below.append(f"The 95 % intervals of the gains take {needed} columns, or stand in the report.")
    table = open_table(title, "\n".join(below), narrow=narrow)
    for name in columns:
        justify: Literal["left", "right"] = "left" if name in _TEXT_COLUMNS else "right"
        least = min(_FOLDED, widths[name] - 2) if name == "arch" else None
        table.add_column(
            heads[name], justify=justify, overflow="fold", no_wrap=name not in ("arch", "notes"), min_width=least
        )
    for place, line in enumerate(shown.to_dict("records")):
        # A level that stands in the row above isn't repeated: the eye then finds the groups.
        same = place > 0 and _block(cells[place - 1]) == _block(cells[place])
        texts = {str(name): str(text) for name, text in line.items()}
        repeated = {name for name in axes if name != "join" and same}
        table.add_row(*(Text("" if name in repeated else texts[name]) for name in columns))
    return table


def write_tables(frame: pd.DataFrame, folder: Path, budget: str = "") -> list[Path]:
    """Write summary.csv, summary.md and summary.tex into the folder; raises `InputError` if that can't be."""
    return write_rows(rows(frame), folder, budget)


def write_rows(cells: Sequence[Row], folder: Path, budget: str = "") -> list[Path]:
    """As `write_tables`, of rows that are at hand."""
    renderers = {"summary.csv": _csv, "summary.md": _markdown, "summary.tex": _tex}
    for name, to_text in renderers.items():
        write_atomic(folder / name, to_text(cells, budget).encode())
    return [folder / name for name in renderers]


def mean_sd(part: stats.Spread) -> str:
    """93.45 ± 0.12; the mean alone for one value."""
    if not part.n:
        return NONE
    return f"{part.mean:.2f}" if math.isnan(part.sd) else f"{part.mean:.2f} ± {part.sd:.2f}"


def gain_text(contrast: Contrast | None) -> str:
    """+0.31 [+0.05, +0.57]; without the interval where one pair gives none."""
    if contrast is None or not contrast.seeds:
        return NONE
    gain = contrast.gain
    interval = f" [{points(gain.low)}, {points(gain.high)}]" if gain.n > 1 else ""
    return points(gain.mean) + interval


def count_text(value: float) -> str:
    """Three digits with their unit: 22.1 M, 1.26 G."""
    if math.isnan(value):
        return NONE
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= size * 0.9995:
            digits = max(0, 2 - int(math.log10(value / size * 1.0005)))
            return f"{value / size:.{digits}f}{unit}"
    return f"{value:.0f}"


def _block(row: Row) -> tuple[str, ...]:
    return tuple(level for name, level in row.cell.items() if name != "join")

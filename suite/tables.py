"""Tables of a grid's runs: a row per cell, with its mean, its spread, its gain over the default, and its cost.

`summary` holds raw numbers; the renderers show the same columns, rounded, with notes for whatever a
number alone would hide: failed trials, seeds without a counterpart, mixed environments.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from suite import markup
from suite.grid.axes import is_usual
from suite.models.norms import NORMS
from suite.store.files import write_atomic
from suite.text import points, seed_list
from suite.verdict import stats
from suite.verdict.comparisons import Contrast, contrasts
from suite.verdict.runs import CELL_FIELDS, Run, cell_order, failed_trials, recipe_ids_tell, unique_runs

if TYPE_CHECKING:
    from rich.table import Table as RichTable

NONE = "–"  # what a missing number prints as

# The columns that tables show only where they differ between rows.
_OPTIONAL = ("norm", "loss", "recipe", "recipe_id")

_NUMBERS = (
    "n", "failed", "top1_mean", "top1_sd", "best_epoch_mean", "best_epoch_sd",
    "gain", "gain_low", "gain_high", "pairs", "params", "macs",
)  # fmt: skip

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


@dataclass(frozen=True)
class Row:
    """A cell with its runs' statistics. contrast: against its baseline (see `rows`), if that was run."""

    cell: dict[str, str]
    top1: stats.Spread
    best_epoch: stats.Spread
    failures: dict[int, str]  # seed index → status
    environments: tuple[str, ...]
    params: float
    macs: float
    contrast: Contrast | None

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What the numbers alone would hide, in words."""
        found = []
        if self.failures:
            found.append(failed_trials(self.failures, self.top1.n))
        contrast = self.contrast
        if contrast is not None and (alone := set(contrast.unpaired) - self.failures.keys()):
            found.append(f"no pair for {seed_list(alone)}: only one side is finished")
        if contrast is not None and contrast.gain.identical:
            found.append("all pairs have the same gain: its interval has no width")
        if contrast is not None and contrast.mixed_environments:
            found.append("the two sides of the gain ran in different environments: "
                         + "; ".join(contrast.environments))  # fmt: skip
        elif len(self.environments) > 1:
            found.append(f"seeds ran in different environments: {'; '.join(self.environments)}")
        return tuple(found)


def rows(frame: pd.DataFrame) -> list[Row]:
    """The cells of the frame, in the order of tables; raises `InputError` as `suite.verdict.runs.unique_runs` does.

    A cell is compared with that of the default join; one with the default join, with that of the default loss; and one
    with both, with that of the norm that such architectures have as published.
    """
    gains = {_key({**one.cell, one.axis: one.treatment.level}): one for one in _compared(frame)}
    cells: dict[tuple[str, ...], list[Run]] = {}
    for run in unique_runs(frame):
        cells.setdefault(_key(run), []).append(run)
    found = []
    for key, runs in cells.items():
        done = [run for run in runs if run["status"] == "done"]
        found.append(
            Row(
                cell=dict(zip(CELL_FIELDS, key, strict=True)),
                top1=stats.spread([run["top1"] for run in done]),
                best_epoch=stats.spread([run["top1_best_epoch"] for run in done]),
                failures={int(run["seed_index"]): str(run["status"]) for run in runs if run["status"] != "done"},
                environments=tuple(sorted({str(run["environment"]) for run in done})),
                params=_first([run["params"] for run in runs]),
                macs=_first([run["macs"] for run in runs]),
                contrast=gains.get(key),
            )
        )
    return sorted(found, key=lambda row: cell_order(row.cell))


def _compared(frame: pd.DataFrame) -> Iterator[Contrast]:
    """The contrasts with the baselines; of several for one treatment, the one that counts comes last."""
    for norm in ("bn", "ln"):
        for one in contrasts(frame, "norm", norm):
            level = one.treatment.level
            if level in NORMS and bool(NORMS[level].tokens) == (norm == "ln"):
                yield one
    yield from contrasts(frame, "loss")
    yield from contrasts(frame)


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """One row per cell, raw numbers: accuracies in percent, gains in points, missing ones NaN.

    norm, loss and the recipe are columns only where they vary. `failed` counts the trials that failed;
    `notes` says in words what the numbers alone would hide.
    """
    return _raw(rows(frame))


def columns_shown(cells: Sequence[Row]) -> list[str]:
    """The axes (and the recipe) to show: those that vary, or that a reader expects."""
    names = [name for name in _OPTIONAL if name != "recipe_id"]
    vary = {name for name in names if len({row.cell[name] for row in cells}) > 1}
    vary |= {name for name in ("norm", "loss") if any(not is_usual(name, row.cell[name]) for row in cells)}
    if recipe_ids_tell(row.cell for row in cells):
        vary.add("recipe_id")
    order = ("dataset", "arch", "recipe", "recipe_id", "pe", "norm", "loss", "join")
    return [name for name in order if name not in _OPTIONAL or name in vary]


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


def budget_note(budget: str) -> list[str]:
    """That the runs are at a smaller budget than the paper's, and in what; nothing without one."""
    return [f"Another budget than the paper's: {budget}."] if budget else []


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
    table = _raw(cells).assign(budget=budget) if budget else _raw(cells)
    return table.to_csv(index=False, lineterminator="\n", float_format="%.10g")


def to_markdown(frame: pd.DataFrame) -> str:
    """The table for GitHub and its like, with the notes below it."""
    return _markdown(rows(frame))


def _markdown(cells: Sequence[Row], budget: str = "") -> str:
    table, notes = display(cells)
    return markup.markdown(table.rename(columns=HEADS), _LEFT, markup.numbered(general_notes(cells, budget), notes))


def to_latex(frame: pd.DataFrame) -> str:
    r"""The table for a paper, with booktabs rules (`\usepackage{booktabs}`), and the notes as a second tabular."""
    return _tex(rows(frame))


def _tex(cells: Sequence[Row], budget: str = "") -> str:
    table, notes = display(cells)
    return markup.latex(table.rename(columns=HEADS), _LEFT, general_notes(cells, budget), notes)


def to_html(frame: pd.DataFrame) -> str:
    """The table as an HTML fragment without style: a `table`, and the notes in paragraphs."""
    from suite.templates import template

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
    below = markup.numbered([text for text in general_notes(cells, budget) if text != LEGEND], notes)
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


def open_table(title: str, caption: str, *, narrow: bool = False) -> RichTable:
    """A table for a terminal, without columns yet, in the style that all have."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    return Table(
        title=Text(title) if title else None,
        caption=Text(caption) if caption else None,
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 0 if narrow else 1, 0, 0),
    )


def write_tables(frame: pd.DataFrame, folder: Path, budget: str = "") -> list[Path]:
    """Write summary.csv, summary.md and summary.tex into the folder; raises `InputError` if that can't be."""
    return write_rows(rows(frame), folder, budget)


def write_rows(cells: Sequence[Row], folder: Path, budget: str = "") -> list[Path]:
    """As `write_tables`, of rows that are at hand."""
    renderers = {"summary.csv": _csv, "summary.md": _markdown, "summary.tex": _tex}
    for name, render in renderers.items():
        write_atomic(folder / name, render(cells, budget).encode())
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


def _raw(cells: Sequence[Row]) -> pd.DataFrame:
    columns = columns_shown(cells)
    records = []
    for row in cells:
        gain = row.contrast.gain if row.contrast is not None else stats.paired_gain([])
        records.append(
            {
                **{name: row.cell[name] for name in columns},
                "n": row.top1.n,
                "failed": len(row.failures),
                "top1_mean": row.top1.mean,
                "top1_sd": row.top1.sd,
                "best_epoch_mean": row.best_epoch.mean,
                "best_epoch_sd": row.best_epoch.sd,
                "gain": gain.mean,
                "gain_low": gain.low,
                "gain_high": gain.high,
                "pairs": gain.n if row.contrast is not None else math.nan,
                "params": row.params,
                "macs": row.macs,
                "notes": "; ".join(row.notes),
            }
        )
    table = pd.DataFrame(records, columns=[*columns, *_NUMBERS, "notes"])
    return table.astype(dict.fromkeys(("pairs", "params", "macs"), "Int64"))


def _key(cell: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(cell[name]) for name in CELL_FIELDS)


def _block(row: Row) -> tuple[str, ...]:
    return tuple(level for name, level in row.cell.items() if name != "join")


def _first(values: Sequence[Any]) -> float:
    """The first number that isn't missing: the runs of a cell have the same model."""
    return next((float(value) for value in values if not pd.isna(value)), math.nan)

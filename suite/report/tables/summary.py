"""The summary table of a grid: a row per cell, with mean, standard deviation, gain over the baseline, and cost.

Notes report failed trials, seeds without a pair and mixed environments, which the numbers don't show.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suite.data.tasks import TASKS, TaskName
from suite.grid.axes import AXES
from suite.report.tables import render
from suite.report.tables.rows import FIELDS, Row, columns_shown, record, rows
from suite.report.tables.table import NONE, Column, Table, budget_note, marks, number_notes
from suite.text import interval, points
from suite.verdict import stats

if TYPE_CHECKING:
    from suite.verdict.runs import Frame


HEADS = {
    **{axis.name: axis.heading for axis in AXES.values()},
    "recipe": "Recipe",
    "recipe_id": "Recipe id",
    "n": "n",
    "top1": "Top-1 (%)",
    "best_epoch": "Best epoch, optimistic (%)",
    "gain": "Gain (points) [95 %]",
    "pairs": "Pairs",
    "params": "Params",
    "macs": "MACs",
    "notes": "Notes",
}
_PAGE_ORDER = ("join", "top1", "n", "gain", "pairs", "best_epoch", "params", "macs", "notes")
_NUMBERS = ("n", "top1", "best_epoch", "gain", "pairs", "params", "macs")
# Properties of a column that differ from the defaults of `Column`.
_SPECIAL: Mapping[str, Mapping[str, Any]] = {
    "dataset": {"constant": True},
    "recipe": {"constant": True, "parts": "+"},
    "arch": {"terminal_head": "Arch.", "wraps": True, "least": 12},
    "best_epoch": {"terminal": "never"},
    "gain": {"interval": True},
    "pairs": {"terminal": "never"},
    "params": {"terminal": "wide"},
    "macs": {"terminal": "wide"},
    "notes": {"terminal_head": "Note", "wraps": True},
}

_LEGEND = (
    "{accuracy} of the last epoch: mean ± sample standard deviation over n seeds. "
    "Best epoch: the best epoch on the test set itself, which is optimistic. "
    "Gain: over the default joining, mean over pairs of the same seed, with its 95 % t interval."
)
_OF_TASK = {
    "segmentation": "Pixel accuracy is the share of labelled pixels that are correct; mIoU is in a table of its own.",
    "grouping": "The other measures of regions are in a table of their own.",
}
_OTHER_GAINS = (
    "Gains of rows with the default joining: over the default loss, or else over the architecture's usual norm (ln, or "
    "bn of convolutional networks)."
)


def summary_table(cells: Sequence[Row], budget: str = "") -> Table:
    """Build the summary table.

    Args:
        cells: the rows, as `rows` returns them.
        budget: how the grid is smaller than the paper's experiment (see `budget_note`); empty if it isn't.
    """
    numbers = number_notes(note for row in cells for note in row.notes)
    accuracy = accuracy_name(cells)
    axes = columns_shown(cells)
    names = [*axes, *_NUMBERS, *(["notes"] if numbers else [])]
    told: dict[str, Any] = {"budget": budget} if budget else {}
    return Table(
        name="summary",
        caption="",
        columns=tuple(_column(name, axes, accuracy) for name in names),
        rows=tuple(tuple(_texts(row, numbers)[name] for name in names) for row in cells),
        records=tuple({**record(row), **told} for row in cells),
        fields=(*axes, *FIELDS, *told),
        below=tuple(_below(cells, budget)),
        notes=tuple(numbers),
        legend=_LEGEND.format(accuracy=accuracy),
        page_order=(*axes[:-1], *_PAGE_ORDER),
    )


def accuracy_name(cells: Sequence[Row]) -> str:
    """What the accuracy of these cells is called; top-1 if they are of several tasks, or none has a finished run."""
    tasks = _tasks(cells)
    return TASKS[tasks.pop() if len(tasks) == 1 else "classification"].accuracy


def _tasks(cells: Sequence[Row]) -> set[TaskName]:
    """The tasks of the cells that have finished runs."""
    finished = [row.side for row in cells if row.side.values]
    return {"segmentation" if of.segmented else "grouping" if of.grouped else "classification" for of in finished}


def _column(name: str, axes: Sequence[str], accuracy: str) -> Column:
    head = f"{accuracy} (%)" if name == "top1" else HEADS[name]
    return Column(name, head, text=name not in _NUMBERS, css=name, group=name in axes and name != "join",
                  **_SPECIAL.get(name, {}))  # fmt: skip


def _texts(row: Row, numbers: Mapping[str, int]) -> dict[str, str]:
    return {
        **row.cell,
        "n": str(row.top1.n),
        "top1": mean_sd(row.top1),
        "best_epoch": mean_sd(row.best_epoch),
        "gain": NONE if row.comparison is None else gain_text(row.comparison.gain),
        "pairs": NONE if row.comparison is None else str(len(row.comparison.seeds)),
        "params": count_text(row.params),
        "macs": count_text(row.macs),
        "notes": marks(numbers, row.notes),
    }


def _below(cells: Sequence[Row], budget: str) -> list[str]:
    """The paragraphs below the table: its budget, the meaning of its columns, and whether n differs between rows."""
    counts = sorted({row.top1.n for row in cells})
    axes = {row.comparison.axis for row in cells if row.comparison is not None}
    other = [_OTHER_GAINS] if axes - {"join"} else []
    uneven = [f"n differs between rows: from {counts[0]} to {counts[-1]} seeds."] if len(counts) > 1 else []
    of_task = [text for task, text in _OF_TASK.items() if task in _tasks(cells)]
    return [*budget_note(budget), _LEGEND.format(accuracy=accuracy_name(cells)), *of_task, *other, *uneven]


def write_tables(frame: Frame, folder: Path, budget: str = "") -> list[Path]:
    """Write summary.csv, summary.md and summary.tex into the folder, and return their paths.

    Args:
        frame: the runs, as `suite.store.load_frame` returns them.
        folder: the folder to write to.
        budget: how the grid is smaller than the paper's experiment (see `budget_note`); empty if it isn't.

    Raises:
        InputError: the folder can't be written, or the frame has two different training runs under one name.
    """
    return write_summary(summary_table(rows(frame), budget), folder)


def write_summary(table: Table, folder: Path) -> list[Path]:
    """Write an existing summary table in the same formats as `write_tables`."""
    return render.write([table], folder, ("csv", "md", "tex"))


def mean_sd(part: stats.Spread) -> str:
    """Mean and standard deviation as text: 93.45 ± 0.12. For one value, only the mean; a dash without values."""
    if not part.n:
        return NONE
    return f"{part.mean:.2f}" if math.isnan(part.sd) else f"{part.mean:.2f} ± {part.sd:.2f}"


def gain_text(gain: stats.PairedGain) -> str:
    """A gain as text: +0.31 [+0.05, +0.57]. For one pair, only the gain; a dash without pairs."""
    if not gain.n:
        return NONE
    return f"{points(gain.mean)} {interval(gain.low, gain.high)}" if gain.n > 1 else points(gain.mean)


def count_text(value: float) -> str:
    """A count as text, with three digits and a unit prefix: 22.1 M, 1.26 G."""
    if math.isnan(value):
        return NONE
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= size * 0.9995:
            digits = max(0, 2 - int(math.log10(value / size * 1.0005)))
            return f"{value / size:.{digits}f}{unit}"
    return f"{value:.0f}"

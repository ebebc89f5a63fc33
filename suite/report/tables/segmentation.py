"""The table of segmentations: for each cell mIoU with its gain, pixel accuracy, and the IoU of each class."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from suite.report.tables.rows import Row, columns_shown, compared, row_key, rows
from suite.report.tables.summary import HEADS, gain_text, mean_sd
from suite.report.tables.table import NONE, Column, Table, budget_note
from suite.verdict import stats
from suite.verdict.segmented import SegmentationEvidence

if TYPE_CHECKING:
    from suite.verdict.runs import Frame

MOST_CLASSES = 24  # that have a column each on paper; the CSV file has all of them
_BELOW = (
    "mIoU: the mean over classes of intersection over union, of all test images together, after the last epoch, in "
    "percent: mean ± sample standard deviation over n seeds. Gain: over the baseline of the summary table, mean over "
    "pairs of the same seed, with its 95 % t interval. Pixels: labelled pixels that are correct, in percent. Class "
    "columns: the class's IoU, a mean over seeds."
)


def segmentation_tables(frame: Frame, budget: str = "") -> list[Table]:
    """The table of segmentations; none if no run is one.

    Args:
        frame: the runs, as `suite.store.load_frame` returns them, or its columns as lists.
        budget: how the grid is smaller than the paper's experiment (see `budget_note`); empty if it isn't.

    Raises:
        InputError: the frame has two different training runs under one name.
    """
    cells = [row for row in rows(frame) if row.side.segmented]
    if not cells:
        return []
    gains = {row_key({**one.cell, one.axis: one.treatment.level}): one.gain for one in compared(frame, "miou")}
    axes = columns_shown(cells)
    classes = max(len(kept.ious) for row in cells for kept in row.side.segmented.values())
    shown = range(classes if classes <= MOST_CLASSES else 0)
    lines, records = [], []
    for row in cells:
        own = list(row.side.segmented.values())
        miou, accuracy = stats.spread([kept.miou for kept in own]), stats.spread([kept.accuracy for kept in own])
        gain = gains.get(row_key(row.cell), stats.paired_gain([]))
        by_class = {f"iou_{number}": _class_mean(own, number) for number in range(classes)}
        records.append(_record(row, miou, accuracy, gain, by_class))
        lines.append((
            *(row.cell[name] for name in axes), str(miou.n), mean_sd(miou), gain_text(gain),
            str(gain.n) if gain.n else NONE, mean_sd(accuracy),
            *(NONE if math.isnan(value := by_class[f"iou_{number}"]) else f"{value:.2f}" for number in shown),
        ))  # fmt: skip
    columns = (
        *(Column(name, HEADS[name], text=True, constant=True, wraps=True) for name in axes),
        Column("n", "n", terminal="never"),
        Column("miou", "mIoU (%)"),
        Column("gain", HEADS["gain"], interval=True),
        Column("pairs", HEADS["pairs"]),
        Column("pixel_accuracy", "Pixels (%)"),
        *(Column(f"iou_{number}", f"Class {number}", terminal="wide") for number in shown),
    )
    return [
        Table(
            "segmentation",
            "Segmentation",
            columns,
            tuple(lines),
            tuple(records),
            tuple(records[0]),
            below=(*budget_note(budget), _BELOW),
        )
    ]


def _record(
    row: Row, miou: stats.Spread, accuracy: stats.Spread, gain: stats.PairedGain, by_class: dict[str, float]
) -> dict[str, Any]:
    """The unrounded values of a line."""
    return {
        **row.cell,
        "n": miou.n,
        "miou_mean": miou.mean,
        "miou_sd": miou.sd,
        "gain": gain.mean,
        "gain_low": gain.low,
        "gain_high": gain.high,
        "pairs": gain.n,
        "pixel_accuracy_mean": accuracy.mean,
        "pixel_accuracy_sd": accuracy.sd,
        **by_class,
    }


def _class_mean(runs: Sequence[SegmentationEvidence], number: int) -> float:
    found = [kept.ious[number] for kept in runs if number < len(kept.ious)]
    values = [value for value in found if value is not None]
    return sum(values) / len(values) if values else math.nan

"""The rows of the summary table: one per cell, with the gain over its baseline."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from suite.grid.axes import AXES, COLUMN_ORDER, is_usual
from suite.text import seed_list
from suite.verdict import stats
from suite.verdict.comparisons import Comparison, Side, comparisons, side_of
from suite.verdict.runs import (
    CELL_COLUMNS,
    CELL_FIELDS,
    Run,
    cell_order,
    failed_trials,
    is_missing,
    recipe_ids_tell,
    unique_runs,
)

if TYPE_CHECKING:
    import pandas as pd

    from suite.verdict.runs import Frame

# Columns that tables show only if their values differ between rows.
_OPTIONAL = (*(name for name in COLUMN_ORDER if AXES[name].usual is not None), "recipe", "recipe_id")
FIELDS = (
    "n", "failed", "top1_mean", "top1_sd", "best_epoch_mean", "best_epoch_sd",
    "gain", "gain_low", "gain_high", "pairs", "params", "macs", "notes",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """A cell with the statistics of its runs.

    Args:
        cell: the level on each axis, the recipe's name and the recipe's id.
        side: its runs, with top-1 of the last epoch.
        best_epoch: mean and standard deviation of top-1 of the best epoch, over seeds.
        params: the number of parameters of the model; NaN if no run has it.
        macs: multiply-accumulates of a forward pass of one image; NaN if no run has them.
        comparison: the comparison with the cell's baseline (see `rows`); None if the baseline has no runs.
    """

    cell: dict[str, str]
    side: Side
    best_epoch: stats.Spread
    params: float
    macs: float
    comparison: Comparison | None

    @cached_property
    def top1(self) -> stats.Spread:
        """Top-1 of the last epoch, over seeds."""
        return stats.spread(list(self.side.values.values()))

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """Remarks that the reader needs to interpret the numbers, such as failed trials or mixed environments."""
        found = []
        if self.side.failures:
            found.append(failed_trials(self.side.failures, self.top1.n))
        comparison = self.comparison
        if comparison is not None and (alone := set(comparison.unpaired) - self.side.failures.keys()):
            found.append(f"no pair for {seed_list(alone)}: only one side is finished")
        if comparison is not None and comparison.gain.identical:
            found.append("all pairs have the same gain: its interval has no width")
        if comparison is not None and comparison.mixed_environments:
            found.append("the two sides of the gain ran in different environments: "
                         + "; ".join(comparison.environments))  # fmt: skip
        elif len(environments := sorted(set(self.side.environments.values()))) > 1:
            found.append(f"seeds ran in different environments: {'; '.join(environments)}")
        if comparison is not None and comparison.mixed_code:
            found.append(f"the runs of the gain mix different code of {', '.join(comparison.mixed_code)}")
        elif self.side.mixed_code:
            found.append(f"seeds ran with different code of {', '.join(self.side.mixed_code)}")
        return tuple(found)


def rows(frame: Frame) -> list[Row]:
    """The cells of the frame, in the order of the tables.

    The baseline of a cell is the cell with the default join. If the cell has the default join itself, the baseline is
    the cell with the default loss. If it has both, the baseline is the cell with the architecture's published norm.

    Raises:
        InputError: in the same cases as `suite.verdict.runs.unique_runs`.
    """
    gains = {row_key({**one.cell, one.axis: one.treatment.level}): one for one in compared(frame)}
    cells: dict[tuple[str, ...], list[Run]] = {}
    for run in unique_runs(frame):
        cells.setdefault(row_key(run), []).append(run)
    found = []
    for key, runs in cells.items():
        cell = dict(zip(CELL_FIELDS, key, strict=True))
        side = side_of(cell["join"], runs, lambda run: float(run["top1"]))
        best_epoch = stats.spread([run["top1_best_epoch"] for run in runs if run["status"] == "done"])
        params, macs = (_first([run[name] for run in runs]) for name in ("params", "macs"))
        found.append(Row(cell, side, best_epoch, params, macs, gains.get(key)))
    return sorted(found, key=lambda row: cell_order(row.cell))


def compared(frame: Frame, metric: str = "top1") -> Iterator[Comparison]:
    """The comparisons with the baselines. If a treatment has several, the last one is the one to use."""
    for axis in (AXES[name] for name in COLUMN_ORDER if AXES[name].method):
        for reference in axis.references:
            for one in comparisons(frame, axis.name, reference, metric):
                if axis.reference(one.treatment.level) == reference:
                    yield one


def summary(frame: Frame) -> pd.DataFrame:
    """The summary as a data frame, one row per cell.

    Accuracies are in percent and gains in percentage points, unrounded. Missing numbers are NaN. Norm, loss and recipe
    are columns only if they vary. `failed` is the number of failed trials. `notes` are remarks that the reader needs to
    interpret the numbers.
    """
    import pandas as pd

    cells = rows(frame)
    table = pd.DataFrame(map(record, cells), columns=[*columns_shown(cells), *FIELDS])
    return table.astype(dict.fromkeys(("pairs", "params", "macs"), "Int64"))


def columns_shown(cells: Sequence[Row]) -> list[str]:
    """The axis and recipe columns to show: those that every table has, that vary, or that have an unusual level."""
    names = [name for name in _OPTIONAL if name != "recipe_id"]
    vary = {name for name in names if len({row.cell[name] for row in cells}) > 1}
    usually = [name for name in names if name in AXES]
    vary |= {name for name in usually if any(not is_usual(name, row.cell[name]) for row in cells)}
    if recipe_ids_tell(row.cell for row in cells):
        vary.add("recipe_id")
    return [name for name in CELL_COLUMNS if name not in _OPTIONAL or name in vary]


def record(row: Row) -> dict[str, Any]:
    """A row's unrounded values: all levels of its cell, and `FIELDS`. Missing numbers are NaN or None."""
    gain = row.comparison.gain if row.comparison is not None else stats.paired_gain([])
    return {
        **row.cell,
        "n": row.top1.n,
        "failed": len(row.side.failures),
        "top1_mean": row.top1.mean,
        "top1_sd": row.top1.sd,
        "best_epoch_mean": row.best_epoch.mean,
        "best_epoch_sd": row.best_epoch.sd,
        "gain": gain.mean,
        "gain_low": gain.low,
        "gain_high": gain.high,
        "pairs": gain.n if row.comparison is not None else None,
        "params": None if math.isnan(row.params) else int(row.params),
        "macs": None if math.isnan(row.macs) else int(row.macs),
        "notes": "; ".join(row.notes),
    }


def row_key(cell: dict[str, Any]) -> tuple[str, ...]:
    """What tells a cell from all others."""
    return tuple(str(cell[name]) for name in CELL_FIELDS)


def _first(values: Sequence[Any]) -> float:
    """The first number that isn't missing; NaN if all are. One is enough, since a cell's runs have the same model."""
    return next((float(value) for value in values if not is_missing(value)), math.nan)

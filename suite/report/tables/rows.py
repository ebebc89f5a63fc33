"""The rows of the summary table: one per cell, with its gain over the baseline."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from suite.grid.axes import AXES, COLUMN_ORDER, is_usual
from suite.text import seed_list
from suite.verdict import stats
from suite.verdict.comparisons import Contrast, contrasts
from suite.verdict.runs import CELL_COLUMNS, CELL_FIELDS, Run, cell_order, failed_trials, recipe_ids_tell, unique_runs

# The columns that tables show only where they differ between rows.
_OPTIONAL = (*(name for name in COLUMN_ORDER if AXES[name].usual is not None), "recipe", "recipe_id")
_NUMBERS = (
    "n", "failed", "top1_mean", "top1_sd", "best_epoch_mean", "best_epoch_sd",
    "gain", "gain_low", "gain_high", "pairs", "params", "macs",
)  # fmt: skip


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
    for axis in (AXES[name] for name in COLUMN_ORDER if AXES[name].method):
        for reference in axis.references:
            for one in contrasts(frame, axis.name, reference):
                if axis.reference(one.treatment.level) == reference:
                    yield one


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """One row per cell, raw numbers: accuracies in percent, gains in points, missing ones NaN.

    norm, loss and the recipe are columns only where they vary. `failed` counts the trials that failed;
    `notes` says in words what the numbers alone would hide.
    """
    return raw_frame(rows(frame))


def columns_shown(cells: Sequence[Row]) -> list[str]:
    """The axes (and the recipe) to show: those that vary, or that a reader expects."""
    names = [name for name in _OPTIONAL if name != "recipe_id"]
    vary = {name for name in names if len({row.cell[name] for row in cells}) > 1}
    usually = [name for name in names if name in AXES]
    vary |= {name for name in usually if any(not is_usual(name, row.cell[name]) for row in cells)}
    if recipe_ids_tell(row.cell for row in cells):
        vary.add("recipe_id")
    return [name for name in CELL_COLUMNS if name not in _OPTIONAL or name in vary]


def raw_frame(cells: Sequence[Row]) -> pd.DataFrame:
    """The rows as a data frame of unrounded values."""
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


def _first(values: Sequence[Any]) -> float:
    """The first number that isn't missing: the runs of a cell have the same model."""
    return next((float(value) for value in values if not pd.isna(value)), math.nan)

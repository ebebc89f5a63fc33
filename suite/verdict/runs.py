"""The runs that a verdict uses: one per trial, from the frame of records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from suite.errors import InputError
from suite.grid.axes import COLUMN_ORDER, level_order
from suite.store.record import AXIS_FIELDS, FAILURES
from suite.store.task_fields import OF_CORRUPTIONS, OF_REGIONS, OF_SEGMENTATION
from suite.text import seed_list

if TYPE_CHECKING:
    import pandas as pd

    # The columns of `suite.store.frames.to_frame`: as a data frame, or as lists (`to_columns`), which need no pandas.
    Frame = pd.DataFrame | Mapping[str, Sequence[Any]]

Run = dict[str, Any]  # a row of the frame
Key = tuple[str, ...]
# What two runs must share, apart from the axis under test, to be compared: all axes and the recipe.
CELL_FIELDS = (*AXIS_FIELDS, "recipe", "recipe_id")
# The same in the order of columns: the recipe stands after the architecture.
CELL_COLUMNS = ("dataset", "arch", "recipe", "recipe_id", *(n for n in COLUMN_ORDER if n not in ("dataset", "arch")))
_ALWAYS = ("top1", "top1_best_epoch")
_COLUMNS = [
    "trial_id", *CELL_FIELDS, "seed_index", "status", *_ALWAYS, "params", "macs", "environment", "started_at",
    "epochs", "diverged_step", "error",
]  # fmt: skip
# A frame without these has no evidence of single test images, or doesn't know its runs' settings or machine's faults.
_EVIDENCE = [
    "test_images", "correct", "code", "settings", "machine_fault", "top1_best_validation", "chosen", *OF_CORRUPTIONS,
    *OF_SEGMENTATION, *OF_REGIONS,
]  # fmt: skip


def unique_runs(frame: Frame) -> list[Run]:
    """The frame's rows, one per trial: a finished run before a failed one, then the latest.

    A row has the columns that tables and verdicts need, and no others.

    Raises:
        InputError: two different training runs (trial ids) have the same axes, recipe and seed. Their rows
            would be averaged and paired as if they were one, so the frame can't be used. Or a finished run
            has no accuracy, or one that is no percentage.
    """
    trials: dict[str, Run] = {}
    columns = [*_COLUMNS, *(name for name in _EVIDENCE if name in frame)]
    for values in rows_of(frame, columns):
        run: Run = dict(zip(columns, values, strict=True))
        other = trials.get(run["trial_id"])
        if other is None or _precedence(run) >= _precedence(other):
            trials[run["trial_id"]] = run
    names: dict[Key, str] = {}
    for trial_id, kept in trials.items():
        _check_accuracies(kept)
        name = tuple(str(kept[field]) for field in (*CELL_FIELDS, "seed_index"))
        first = names.setdefault(name, trial_id)
        if first != trial_id:
            raise InputError(
                "two different trainings under one name",
                expected="one trial for each cell and seed",
                found=f"trials {first} and {trial_id}, both {' '.join(name[:-2])}, seed {name[-1]}",
                where="runs.jsonl",
                fix="keep the runs of one definition: an architecture of that name has changed in between",
            )
    return list(trials.values())


def rows_of(frame: Frame, columns: Sequence[str]) -> Iterable[tuple[Any, ...]]:
    """The values of these columns, row by row, as Python's own numbers and texts."""
    return zip(*(list(frame[name]) for name in columns), strict=True)


def is_missing(value: Any) -> bool:
    """Whether a cell of a frame holds nothing: None or NaN."""
    return value is None or value != value


def recipe_ids_tell(cells: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a recipe's name stands for several trainings on one data set, so that only the ids tell them apart.

    Of two data sets the ids always differ: they are made of the data too.
    """
    ids: dict[tuple[str, str], str] = {}
    return any(
        ids.setdefault((cell["dataset"], cell["recipe"]), cell["recipe_id"]) != cell["recipe_id"] for cell in cells
    )


def cell_order(cell: Mapping[str, Any]) -> tuple[tuple[int, str], ...]:
    """The place of a cell in tables: by data set, architecture, PE, norm and loss, recipe, and joins last."""
    return tuple(level_order(name, str(cell[name])) for name in CELL_COLUMNS if name in cell)


def failed_trials(failures: Mapping[int, str], done: int) -> str:
    """The failures (seed index → status) of a cell, of which `done` trials finished, in words."""
    counts = Counter(failures.values())
    listed = ", ".join(f"{counts[status]} {status}" for status in FAILURES if counts[status])
    return f"{len(failures)} of {done + len(failures)} trials failed ({listed}; {seed_list(failures)})"


def _precedence(run: Run) -> tuple[bool, str, str]:
    # Two runs of one second are told apart by what they hold, never by the order of the rows.
    return run["status"] == "done", str(run["started_at"]), str(sorted(run.items()))


def _check_accuracies(run: Run) -> None:
    for name in _ALWAYS:
        if run["status"] == "done" and (is_missing(run[name]) or not 0 <= run[name] <= 100):
            raise InputError(
                f"a finished run has no {name} to compare",
                expected="a percentage, from 0 to 100",
                found=str(run[name]),
                where=f"runs.jsonl, trial {run['trial_id']}",
                fix="restore its record from version control, or delete it: the trial then runs again",
            )

"""The records of a results folder as a data frame: one row per run."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suite.errors import InputError
from suite.store.canonical import canonical_json, fingerprint
from suite.store.folder import Store
from suite.store.history import history_frame, joined, stored_history
from suite.store.parsing import sort_key
from suite.store.record import LOSS_KEYS, RunRecord
from suite.store.task_fields import OF_CORRUPTIONS, OF_REGIONS, OF_SEGMENTATION, OF_VALIDATION

if TYPE_CHECKING:
    import pandas as pd


# Fields of a record that are not columns of `load_frame`.
_NOT_COLUMNS = {"schema_version", "config", "history", "environment"}
_COLUMNS = [
    *(name for name in RunRecord.model_fields if name not in _NOT_COLUMNS),
    "environment",
    "recipe_id",
    "settings",
]
_NUMBERS = (
    "top1", "top1_best_epoch", "test_loss", "params", "macs", "train_seconds", "images_per_second", "peak_memory_mb",
    *OF_VALIDATION, "corruption_error", "corruption_images", "miou", *OF_REGIONS[:-1],
)  # fmt: skip


def load_frame(path: str | Path) -> pd.DataFrame:
    """The records below a results folder (or of one runs.jsonl) as a frame, a row per run.

    Its columns are the fields of `suite.store.record.RunRecord`; accuracies are percent, missing numbers NaN.
    `code` is JSON: the code of the run, or newer code that was shown to train the same. So are `corruption_errors` and
    `class_iou`. Runs of the same `environment` compare without a footnote. `recipe_id` differs between training runs
    that differ in anything but the axes and the seed. `settings` is JSON: the recipe and the architecture of the
    config, and a fingerprint of the rest.

    Raises:
        InputError: there is no such folder or file, or a record in it is damaged or newer than this suite.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(
            "no results", expected="a results folder", found="nothing", where=str(path), fix="run the grid first"
        )
    store = Store(path if path.is_dir() else path.parent)
    return to_frame(store.records().values())


def to_frame(records: Iterable[RunRecord]) -> pd.DataFrame:
    """Records as the frame of `load_frame`, sorted by their axes and seed."""
    import pandas as pd

    return pd.DataFrame(_rows(records), columns=_COLUMNS).astype(dict.fromkeys(_NUMBERS, "float64"))


def to_columns(records: Iterable[RunRecord]) -> dict[str, list[Any]]:
    """The columns of `to_frame` as lists, in which None is missing. Needs no pandas, which takes long to import."""
    rows = _rows(records)
    return {name: [row[name] for row in rows] for name in _COLUMNS}


def _rows(records: Iterable[RunRecord]) -> list[dict[str, Any]]:
    return [_row(record) for record in sorted(records, key=sort_key)]


def load_history(folder: str | Path, *, spool: bool = True) -> pd.DataFrame:
    """A row per epoch of every run: trial_id, epoch, lr, train_loss, top1 (percent, test), test_loss, seconds.

    And `similarity` of the patches of test images: a tuple of one number per block, or None. If any run has a
    validation split: validation_top1 (percent) and validation_loss.

    Args:
        folder: the results of one grid.
        spool: whether to include records that aren't folded yet.

    Raises:
        InputError: history.parquet, or a record that waits to be folded, is damaged.
    """
    # The spool first: a record that is folded meanwhile is then read twice, not missed.
    store = Store(Path(folder))
    fresh = [record for record in store._spooled().values() if record.history is not None] if spool else []
    frame = stored_history(store.folder)
    if fresh:
        old = frame[~frame["trial_id"].isin([record.trial_id for record in fresh])]
        frame = joined(old, history_frame(fresh))
    return frame.reset_index(drop=True)


def _row(record: RunRecord) -> dict[str, Any]:
    row = {
        **dict.fromkeys((*OF_VALIDATION, *OF_CORRUPTIONS, *OF_SEGMENTATION, *OF_REGIONS)),
        **record.model_dump(exclude=_NOT_COLUMNS),
    }
    training = {key: value for key, value in record.config.items() if key not in ("axes", "methods", "seed_index")}
    rest = fingerprint({key: value for key, value in training.items() if key != "recipe"})
    parts = {"recipe": training["recipe"], "arch": record.config["axes"].get("arch"), "rest": rest}
    settings = canonical_json(parts)
    # The weights of a loss's terms belong to the loss axis: both sides of a contrast of losses have one recipe.
    training["recipe"] = {
        key: value for key, value in training["recipe"].items() if key not in (*LOSS_KEYS, "loss_weights")
    }
    code = None if record.code_now is None else canonical_json(record.code_now)
    made = {"code": code, "environment": record.environment.group}
    if record.corruption_errors is not None:
        made["corruption_errors"] = canonical_json(record.corruption_errors)
    if record.class_iou is not None:
        made["class_iou"] = canonical_json(list(record.class_iou))
    return {**row, **made, "recipe_id": fingerprint(training), "settings": settings}

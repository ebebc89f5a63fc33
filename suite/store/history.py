"""The training curves beside the records: history.parquet, one row per tested epoch."""

from __future__ import annotations

import io
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from suite.errors import InputError, first_line
from suite.store.files import check_inside, read_regular
from suite.store.record import MOST, MOST_FINITE, MOST_SIMILAR, Epoch, RunRecord

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


HISTORY = "history.parquet"
LARGEST_HISTORY = 2 * 2**30  # bytes
_MOST_ROWS = 50_000_000  # of a history: a hundred thousand runs of 500 epochs
_ROWS_AT_ONCE, _ROW_VALUES, _LONGEST_ID = 65_536, 1024, 64  # values of a row, generously: a hundred blocks
_LISTS = "similarity"  # the column of the history that holds lists of numbers
_OF_VALIDATION = ("validation_top1", "validation_loss")  # columns of a history in which any run has them
_OPTIONAL = ("top1", "test_loss", *_OF_VALIDATION)  # of an epoch that wasn't tested they are missing
_BOUNDS = {
    "epoch": (0, 2**31 - 1),
    "lr": (-MOST_FINITE, MOST_FINITE),
    "train_loss": (-MOST_FINITE, MOST_FINITE),
    "top1": (0, 100),
    "test_loss": (-MOST_FINITE, MOST_FINITE),
    "validation_top1": (0, 100),
    "validation_loss": (-MOST_FINITE, MOST_FINITE),
    "seconds": (0, MOST),
}


def stored_history(folder: Path) -> pd.DataFrame:
    """What a folder's history.parquet holds: a row per epoch of every folded run.

    Raises:
        InputError: the file is damaged, or a link out of its folder.
    """
    path = folder / HISTORY
    check_inside(path, folder)
    content = read_regular(path, LARGEST_HISTORY)
    return _no_history().copy() if content is None else _read_history(content, path)


def joined(one: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """Two histories, one below the other."""
    import pandas as pd

    return pd.concat([one, other]) if len(one) else other  # pandas warns of empty frames


def _read_history(content: bytes, path: Path) -> pd.DataFrame:
    import pandas as pd

    expected = _no_history().columns
    types = _history_types()
    try:
        table = _bounded_table(content, list(expected.drop(_LISTS)), [*_OF_VALIDATION, _LISTS])
        frame: pd.DataFrame = table.to_pandas(ignore_metadata=True)
        lists = frame[_LISTS] if _LISTS in frame else [None] * len(frame)  # which older files don't have
        found = [None if values is None else tuple(map(float, values)) for values in lists]
        _check_numbers(frame, found)
        frame[_LISTS] = pd.Series(found, frame.index, dtype="object")
        there = [name for name in (*expected, *_OF_VALIDATION) if name in frame]
        frame = frame[there].astype({name: types[name] for name in there})
    except (OSError, ValueError, TypeError, KeyError, MemoryError) as error:  # pyarrow's own errors are ValueErrors
        raise InputError(
            "the history of the runs is damaged",
            expected=f"a Parquet file with the columns {', '.join(expected)}",
            found=first_line(error),
            where=str(path),
            fix="restore the file from version control, or delete it: the runs stay, only their curves are lost",
        ) from None
    return frame


def _check_numbers(frame: pd.DataFrame, similarities: Iterable[tuple[float, ...] | None]) -> None:
    """Hold the columns of a history against the bounds that a record's own history has.

    Raises:
        ValueError: a number is missing, infinite, or outside of its bounds.
    """
    for name, (low, high) in _BOUNDS.items():
        if name not in frame:
            continue
        column = frame[name].astype("float64")
        if name not in _OPTIONAL and column.isna().any():
            raise ValueError(f"no number in a row of the column {name}")
        if not (column.between(low, high) | column.isna()).all():
            raise ValueError(f"a number in the column {name} that isn't between {low:g} and {high:g}")
    if not all(0 <= value <= MOST_SIMILAR for values in similarities if values is not None for value in values):
        raise ValueError(f"a number in the column {_LISTS} that isn't between 0 and {MOST_SIMILAR:g}")


def _bounded_table(content: bytes, columns: list[str], optional: list[str]) -> pa.Table:
    """Columns of a Parquet file, in bounded memory; those in `optional` only if the file has them.

    In Parquet a few bytes can stand for any number of rows, and for a text of any length in each of them. So rows are
    counted as they are read, ids stay a dictionary, and all other columns must be numbers.

    Raises:
        ValueError: it isn't such a file, or is larger than any history.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    with pq.ParquetFile(io.BytesIO(content), read_dictionary=["trial_id"]) as file:
        schema = file.schema_arrow
        if missing := [name for name in columns if name not in schema.names]:
            raise ValueError(f"no column {', '.join(missing)}")
        columns = [*columns, *(name for name in optional if name in schema.names)]
        for name in columns:
            if not _is_kind(schema.field(name).type, name):
                raise ValueError(f"a column {name} of the type {schema.field(name).type}")
        if any(
            group.column(number).num_values > _ROWS_AT_ONCE * _ROW_VALUES
            for group in map(file.metadata.row_group, range(file.num_row_groups))
            for number in range(group.num_columns)
        ):
            raise ValueError("more than any number of runs can have")
        batches, rows = [], 0
        for batch in file.iter_batches(_ROWS_AT_ONCE, columns=columns):
            rows += len(batch)
            longest = pc.max(pc.binary_length(batch.column("trial_id").dictionary)).as_py() or 0
            if rows > _MOST_ROWS or longest > _LONGEST_ID:
                raise ValueError("more than any number of runs can have" if rows > _MOST_ROWS else "ids that are none")
            batches.append(batch)
        return pa.Table.from_batches(batches, schema.empty_table().select(columns).schema)


def _is_kind(found: pa.DataType, column: str) -> bool:
    """Whether a column has the right type: ids are texts, similarities are lists of numbers, the rest are numbers."""
    from pyarrow import types

    if column == "trial_id":
        return bool(types.is_dictionary(found) and str(found.value_type) in ("string", "large_string"))
    if column == _LISTS and types.is_list(found):
        found = found.value_type
    return bool(types.is_primitive(found) or types.is_null(found))


def history_frame(records: Iterable[RunRecord]) -> pd.DataFrame:
    """The histories of records, in the columns and types of history.parquet."""
    import pandas as pd

    rows = [{"trial_id": record.trial_id, **epoch.model_dump()} for record in records for epoch in record.history or ()]
    # With explicit types: without rows, or if all numbers are missing, pandas would choose others.
    frame = pd.DataFrame(rows, columns=["trial_id", *Epoch.model_fields]).astype(_history_types())
    return frame.drop(columns=[name for name in _OF_VALIDATION if frame[name].isna().all()])


@cache
def _no_history() -> pd.DataFrame:
    """The columns without a row. Of many grids, most have no runs, and pandas takes milliseconds to make them."""
    return history_frame([])


def _history_types() -> dict[str, str]:
    numbers = dict.fromkeys(Epoch.model_fields, "float64")
    return {"trial_id": "str", **numbers, "epoch": "int64", _LISTS: "object"}

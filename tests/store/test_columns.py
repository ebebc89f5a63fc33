"""The columns of records, as lists and as a data frame."""

from __future__ import annotations

import pandas as pd

from suite.store.folder import Store
from suite.store.frames import to_columns, to_frame
from suite.verdict.runs import is_missing
from tests.conftest import REPOSITORY


def test_the_lists_hold_what_the_frame_holds() -> None:
    records = Store(REPOSITORY / "results" / "cifar_subset").records().values()
    columns, frame = to_columns(records), to_frame(records)
    assert list(columns) == list(frame)
    for name, values in columns.items():
        for value, cell in zip(values, frame[name], strict=True):
            assert is_missing(value) if pd.isna(cell) else value == cell, name


def test_a_frame_without_runs_can_be_joined_with_texts() -> None:
    assert set(to_frame([])[["trial_id", "dataset", "arch"]].dtypes.astype(str)) == {"object"}
    assert not any(to_columns([]).values())

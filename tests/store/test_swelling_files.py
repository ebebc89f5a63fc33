"""Small files that stand for much more than they hold."""

from __future__ import annotations

import io
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from suite.errors import InputError
from suite.grid.trial import Trial
from suite.store.files import read_regular
from suite.store.folder import RUNS, SPOOL, Store
from suite.store.frames import load_frame
from suite.store.history import HISTORY
from suite.verdict.test_images import check_accuracies
from tests.records import make_record


def history_of(rows: int, trial_id: str = "0" * 16, **columns: Any) -> bytes:
    """A history of so many equal rows: some hundred bytes, whatever their number."""
    ids = pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int32()), rows), pa.array([trial_id]))
    values = {"epoch": 0, "lr": 0.1, "train_loss": 1.0, "top1": 1.0, "test_loss": 1.0, "seconds": 1.0} | columns
    table = {"trial_id": ids, **{name: pa.repeat(pa.scalar(value), rows) for name, value in values.items()}}
    buffer = io.BytesIO()
    pq.write_table(pa.table(table), buffer, compression="zstd")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (lambda: history_of(3_000_000), "more than any number of runs can have"),
        (lambda: history_of(100_000, trial_id="x" * 1_000_000), "ids that are none"),
        (lambda: history_of(100_000, lr="x" * 10_000), "of the type string"),
    ],
)
def test_a_parquet_file_that_swells_is_damage(
    kept: Store, content: Callable[[], bytes], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without limits they would be gigabytes."""
    monkeypatch.setattr("suite.store.history._MOST_ROWS", 1_000_000)
    data = content()
    assert len(data) < 4_000_000
    (kept.folder / HISTORY).write_bytes(data)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match=rf"history of the runs is damaged[\s\S]*{told}"):
        kept.collect()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # kilobytes


def test_a_large_file_is_not_read(kept: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sparse files of a terabyte: nothing of them is in memory."""
    for name in (RUNS, HISTORY, f"{SPOOL}/0123456789abcdef.json"):
        path = kept.folder / name
        content = path.read_bytes() if path.exists() else None
        with path.open("wb") as file:
            file.truncate(2**40)
        with pytest.raises(InputError, match=r"can't be read[\s\S]*more than"):
            kept.collect()
        path.unlink()
        if content is not None:
            path.write_bytes(content)
    assert read_regular(kept.folder / RUNS, 10**9) is not None


@pytest.mark.parametrize(
    "text",
    [
        "[" * 200_000,
        '{"a":' * 100_000,
        '{"schema_version": ' + "9" * 100_000 + "}",
        '{"schema_version": 1e999}',
        "\0" * 999,
    ],
)
def test_json_that_is_a_bomb_is_damage(kept: Store, text: str) -> None:
    with (kept.folder / RUNS).open("a") as file:
        file.write(text)
    with pytest.raises(InputError, match=r"damaged record|newer version") as caught:
        kept.records()
    assert len(str(caught.value)) < 2000


def test_answers_of_more_images_than_there_are_bits_cost_no_memory(kept: Store, trials: list[Trial]) -> None:
    kept.put(make_record(trials[0], test_images=2**62))
    with pytest.raises(InputError, match="the answers of a run are damaged"):
        check_accuracies(load_frame(kept.folder))

"""Where records are kept: one folder per grid, from which nothing is lost whatever dies.

    results/NAME/runs.jsonl        a line per run, sorted; committed when it is evidence
    results/NAME/history.parquet   a row per epoch of every run
    results/NAME/spool/ID.json     runs that have not been folded into the two files yet
    results/NAME/weights/          ID.safetensors: the weights at the end of a run, if they were asked for
    results/NAME/snapshots/        the states of trainings under way, from which they can go on: see `suite.versions`

A run is stored by writing one spool file under a temporary name and renaming it. One writer, which
holds the folder's lock, folds the spool into the files: the new files are in place before a spool file
goes, so a crash at any point leaves every record in one place or the other.

A folder may come from somebody else. Nothing in it is run or unpickled, what is read has bounds, and no link in it
is followed out of it.
"""

from __future__ import annotations

import fcntl
import io
import json
import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suite.canonical import fingerprint
from suite.errors import InputError, first_line
from suite.files import cannot_read, cannot_write, check_folder, check_inside, make_folder, read_regular, write_atomic
from suite.heartbeat import RUNNING
from suite.record import AXIS_FIELDS, LOSS_KEYS, MIGRATIONS, SCHEMA_VERSION, Epoch, RunRecord
from suite.storage import Folder, Place
from suite.versions import sweep

if TYPE_CHECKING:
    import pandas as pd  # imported by what makes a frame: workers and `lape status` do without that second
    import pyarrow as pa

RUNS, SPOOL, WEIGHTS, LOCK = "runs.jsonl", "spool", "weights", ".lock"
HISTORY = "history.parquet"
SNAPSHOTS = "snapshots"
LARGEST_RECORD = 64 * 2**20  # bytes: a training of 100,000 epochs, with the answers of 100 million test images
LARGEST_FILE = 2 * 2**30  # bytes of runs.jsonl, and of history.parquet
_MOST_ROWS = 50_000_000  # of a history: a hundred thousand runs of 500 epochs
_ROWS_AT_ONCE, _ROW_VALUES, _LONGEST_ID = 65_536, 1024, 64  # values of a row, generously: a hundred blocks
GOING_ON = ("timeout", "error")  # failures that, tried again, go on from their snapshot
_LISTS = "similarity"  # the column of the history that holds no numbers

# The columns of `load_frame` that are no fields of a record, and the fields that are no columns.
_NOT_COLUMNS = {"schema_version", "config", "history", "environment"}
_COLUMNS = [
    *(name for name in RunRecord.model_fields if name not in _NOT_COLUMNS),
    "environment",
    "recipe_id",
]
_NUMBERS = (
    "top1", "top1_best_epoch", "test_loss", "params", "macs", "train_seconds", "images_per_second", "peak_memory_mb",
)  # fmt: skip


class Store:
    """The records of one grid. Reading needs no lock; `collect` does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # What this store wrote to runs.jsonl: a driver folds again and again, and parses no record twice.
        self._written: dict[str, RunRecord] = {}
        self._lines: dict[str, tuple[RunRecord, str]] = {}  # by trial

    def put(self, record: RunRecord) -> None:
        """Keep a record: atomic, safe beside other writers. Raises `InputError` if it can't be written."""
        write_atomic(self._inside(SPOOL) / f"{record.trial_id}.json", record.model_dump_json().encode())

    def has_spooled(self, trial_id: str) -> bool:
        """Whether a record of this trial waits to be folded."""
        return (self.folder / SPOOL / f"{trial_id}.json").exists()

    def weights(self, trial_id: str) -> Path:
        """Where the weights of a trial are, if they were kept. Raises `InputError` if a link leads elsewhere."""
        return self._inside(WEIGHTS, f"{trial_id}.safetensors")

    def snapshots(self) -> Place:
        """Where the states of trainings are while they are under way; of several seeds together, by the first one's id.

        Raises:
            InputError: a link leads elsewhere.
        """
        return Folder(self._inside(SNAPSHOTS))

    def _inside(self, *parts: str) -> Path:
        path = self.folder.joinpath(*parts)
        check_inside(path, self.folder)
        return path

    def records(self) -> dict[str, RunRecord]:
        """The record of each trial, by id; a newer one replaces an older one unless only the older is done.

        Raises:
            InputError: a line or file that is damaged, or that a newer version of the suite wrote.
        """
        return self._merged(self._spooled())

    def _merged(self, spooled: dict[Path, RunRecord]) -> dict[str, RunRecord]:
        found: dict[str, RunRecord] = {}
        for record in [*self._folded(), *spooled.values()]:
            older = found.get(record.trial_id)
            if older is None or older.status != "done" or record.status == "done":
                found[record.trial_id] = record
        return found

    def collect(self) -> dict[str, RunRecord]:
        """Fold the spool into runs.jsonl and history.parquet, and return the records. Call with the lock held.

        Raises:
            InputError: one of the files is damaged, even if there is nothing to fold: a run that calls this
                before it trains can then fold what it trained. Or they can't be written. Nothing is lost.
        """
        spooled = self._spooled()
        records = self._merged(spooled)
        history = stored_history(self.folder)
        if spooled:
            fresh = [record for record in records.values() if record.history is not None]
            kept = history[history["trial_id"].isin(records.keys() - {record.trial_id for record in fresh})]
            self._write(records.values(), _joined(kept, _history_frame(fresh)))
            for path in spooled:
                path.unlink()
            self._sweep(records)
        return records

    def absorb(self, records: Iterable[RunRecord], history: pd.DataFrame) -> None:
        """Make these the store's records and curves, in place of what was folded. Call with the lock held.

        history: as `load_history` gives it.

        Raises:
            InputError: the files can't be written. Nothing is lost.
        """
        self._write(records, history)

    def _write(self, records: Iterable[RunRecord], history: pd.DataFrame) -> None:
        buffer = io.BytesIO()
        history.sort_values(["trial_id", "epoch"]).to_parquet(buffer, index=False)
        write_atomic(self._inside(HISTORY), buffer.getvalue())
        held = [self._held(record) for record in sorted(records, key=_sort_key)]
        write_atomic(self._inside(RUNS), ("\n".join(line for _, line in held) + "\n").encode())
        self._written = {line: record for record, line in held}
        self._lines = {record.trial_id: (record, line) for record, line in held}

    def _held(self, record: RunRecord) -> tuple[RunRecord, str]:
        """The record as runs.jsonl holds it, and its line there."""
        known = self._lines.get(record.trial_id)
        if known is not None and known[0] is record:
            return known
        record = record.model_copy(update={"history": None})
        return record, record.model_dump_json()

    def _sweep(self, records: dict[str, RunRecord]) -> None:
        """Remove snapshots that a worker left behind when it died between its record and them."""
        with suppress(InputError):
            sweep(self.snapshots(), {name for name, record in records.items() if record.status not in GOING_ON})

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Be the folder's one writer. The lock goes with the process, however that ends.

        Raises:
            InputError: another process holds it (says which), or a record could not be written.
        """
        path = self._inside(LOCK)
        for name in (WEIGHTS, SNAPSHOTS, RUNNING):
            self._inside(name)  # workers write there, where nobody reads what they say
        make_folder(self._inside(SPOOL))
        try:
            file = path.open("a+")
        except OSError as error:
            raise cannot_write(path, error) from None
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.seek(0)
                raise InputError(
                    "this grid is being run already",
                    expected="one run of a grid at a time in a results folder",
                    found=f"a run by {file.read().strip() or 'another process'}",
                    where=str(path),
                    fix="wait for it to end, or stop it; `lape status` shows how far it is",
                ) from None
            file.seek(0)
            file.truncate()
            now = datetime.now(UTC).isoformat(timespec="seconds")
            file.write(f"process {os.getpid()} on {socket.gethostname()}, since {now}\n")
            file.flush()
            yield

    def _folded(self) -> list[RunRecord]:
        check_folder(self.folder)
        path = self._inside(RUNS)
        text = _text(path, LARGEST_FILE)
        if text is None:
            return []
        # Not splitlines: a record's text may hold other line separators, such as U+2028.
        lines = text.split("\n")
        return [
            self._written.get(line) or parse_record(line, f"{path}, line {number}")
            for number, line in enumerate(lines, 1)
            if line.strip()
        ]

    def _spooled(self) -> dict[Path, RunRecord]:
        check_folder(self.folder / SPOOL)
        found: dict[Path, RunRecord] = {}
        for path in sorted(self._inside(SPOOL).glob("*.json")):
            check_inside(path, self.folder)
            text = _text(path, LARGEST_RECORD)
            if text is not None:  # another reader may have folded it just now
                found[path] = parse_record(text, str(path), path.stem)
        return found


def load_frame(path: str | Path) -> pd.DataFrame:
    """The records below a results folder (or of one runs.jsonl) as a frame, a row per run.

    Its columns are the fields of `suite.record.RunRecord`; accuracies are percent, missing numbers NaN.
    `environment` is the group whose runs compare without a footnote; `recipe_id` tells trainings apart
    that differ in anything but the axes and the seed.

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

    frame = pd.DataFrame([_row(record) for record in sorted(records, key=_sort_key)], columns=_COLUMNS)
    return frame.astype(dict.fromkeys(_NUMBERS, "float64"))


def load_history(folder: str | Path, *, spool: bool = True) -> pd.DataFrame:
    """A row per epoch of every run: trial_id, epoch, lr, train_loss, top1 (percent, test), test_loss, seconds.

    And similarity, of the patches of test images after each block: a tuple, or None.

    Raises:
        InputError: history.parquet, or a record that waits to be folded, is damaged.
    """
    # What waits is read first: what is folded meanwhile is then in both.
    store = Store(Path(folder))
    fresh = [record for record in store._spooled().values() if record.history is not None] if spool else []
    frame = stored_history(store.folder)
    if fresh:
        old = frame[~frame["trial_id"].isin([record.trial_id for record in fresh])]
        frame = _joined(old, _history_frame(fresh))
    return frame.reset_index(drop=True)


def _joined(one: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    return pd.concat([one, other]) if len(one) else other  # pandas warns of empty frames


def stored_history(folder: Path) -> pd.DataFrame:
    """What a folder's history.parquet holds: a row per epoch of every folded run.

    Raises:
        InputError: the file is damaged, or a link out of its folder.
    """
    path = folder / HISTORY
    check_inside(path, folder)
    content = read_regular(path, LARGEST_FILE)
    return _history_frame([]) if content is None else _read_history(content, path)


def _read_history(content: bytes, path: Path) -> pd.DataFrame:
    import pandas as pd

    expected = _history_frame([]).columns
    types = _history_types()
    try:
        table = _bounded_table(content, list(expected.drop(_LISTS)), [_LISTS])
        frame: pd.DataFrame = table.to_pandas(ignore_metadata=True)
        lists = frame[_LISTS] if _LISTS in frame else [None] * len(frame)  # which older files don't have
        found = [None if values is None else tuple(map(float, values)) for values in lists]
        frame[_LISTS] = pd.Series(found, frame.index, dtype="object")
        frame = frame[list(expected)].astype(types)
    except (OSError, ValueError, TypeError, KeyError, MemoryError) as error:  # pyarrow's own errors are ValueErrors
        raise InputError(
            "the history of the runs is damaged",
            expected=f"a Parquet file with the columns {', '.join(expected)}",
            found=first_line(error),
            where=str(path),
            fix="restore the file from version control, or delete it: the runs stay, only their curves are lost",
        ) from None
    return frame


def _bounded_table(content: bytes, columns: list[str], optional: list[str]) -> pa.Table:
    """Some columns of a Parquet file, in so much memory as a history can need; those that are optional if there.

    A few bytes can stand for any number of rows, and for a text of any length in each of them: so rows are counted as
    they are read, ids stay the dictionary that they are stored as, and the rest are numbers.

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
    """Whether a column is of numbers; the ids of texts, and what holds lists, of lists of numbers."""
    from pyarrow import types

    if column == "trial_id":
        return bool(types.is_dictionary(found) and str(found.value_type) in ("string", "large_string"))
    if column == _LISTS and types.is_list(found):
        found = found.value_type
    return bool(types.is_primitive(found) or types.is_null(found))


def _history_frame(records: Iterable[RunRecord]) -> pd.DataFrame:
    import pandas as pd

    rows = [{"trial_id": record.trial_id, **epoch.model_dump()} for record in records for epoch in record.history or ()]
    # With types: those of no rows, or of numbers that all are missing, would be read as damage.
    return pd.DataFrame(rows, columns=["trial_id", *Epoch.model_fields]).astype(_history_types())


def _history_types() -> dict[str, str]:
    numbers = dict.fromkeys(Epoch.model_fields, "float64")
    return {"trial_id": "str", **numbers, "epoch": "int64", _LISTS: "object"}


def _row(record: RunRecord) -> dict[str, Any]:
    row = record.model_dump(exclude=_NOT_COLUMNS)
    training = {key: value for key, value in record.config.items() if key not in ("axes", "seed_index")}
    # The weights of a loss's terms are the loss's: both sides of a contrast of losses are of one recipe.
    training["recipe"] = {key: value for key, value in training["recipe"].items() if key not in LOSS_KEYS}
    return {**row, "environment": record.environment.group, "recipe_id": fingerprint(training)}


def _sort_key(record: RunRecord) -> tuple[str | int, ...]:
    return (*(getattr(record, axis) for axis in AXIS_FIELDS), record.recipe, record.seed_index, record.trial_id)


def parse_record(line: str, where: str, trial_id: str | None = None) -> RunRecord:
    """A record from its JSON, whatever the version that wrote it. trial_id: of the trial that it must be of.

    Raises:
        InputError: it is damaged, or a newer version of the suite wrote it. where: what the message names.
    """
    values = parse_values(line, where)
    try:
        return _of(RunRecord.model_validate(values), trial_id)
    except (ValueError, TypeError, RecursionError) as error:
        raise damaged_record(line, where, error) from None


def parse_values(line: str, where: str) -> dict[str, Any]:
    """The values of a record as JSON has them, brought to this version of the schema; not validated.

    Raises:
        InputError: it is no JSON object with a version, or one of a newer version.
    """
    try:
        values: dict[str, Any] = json.loads(line)
        version = values["schema_version"]
        if version > SCHEMA_VERSION:
            raise InputError(
                "a record of a newer version",
                expected=f"records of schema version {SCHEMA_VERSION} or older",
                found=f"schema version {version}",
                where=where,
                fix="update the suite; nothing was changed in the file",
            )
        while version < SCHEMA_VERSION:
            values = MIGRATIONS[version](values)
            version += 1
            values["schema_version"] = version
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise damaged_record(line, where, error) from None
    return values


def damaged_record(line: str, where: str, error: Exception) -> InputError:
    """The message for a line that is no record. error: what was found wrong with it."""
    reason = first_line(error)
    return InputError(
        "a damaged record",
        expected="a run's record as one JSON object",
        found=f"{line[:60]!r}… ({reason})" if len(line) > 60 else f"{line!r} ({reason})",
        where=where,
        fix="restore it from version control, or delete the damaged line (or file): its trial then runs again",
    )


def _of(record: RunRecord, trial_id: str | None) -> RunRecord:
    if trial_id is not None and record.trial_id != trial_id:
        raise ValueError(f"a record of trial {record.trial_id}, which the name doesn't say")
    return record


def read_text(path: Path) -> str:
    """A file of records; raises `InputError` if there is none, or if it is a link out of its folder."""
    check_inside(path, path.parent)
    text = _text(path, LARGEST_FILE)
    if text is None:
        raise cannot_read(path, "nothing")
    return text


def _text(path: Path, largest: int) -> str | None:
    """A file's text, without the mark that some editors put first; bytes that are no UTF-8 damage only their line."""
    content = read_regular(path, largest)
    return None if content is None else content.decode("utf-8-sig", errors="replace")

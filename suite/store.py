"""Where records are kept: one folder per grid, from which nothing is lost whatever dies.

    results/NAME/runs.jsonl        a line per run, sorted; committed when it is evidence
    results/NAME/history.parquet   a row per epoch of every run
    results/NAME/spool/ID.json     runs that have not been folded into the two files yet
    results/NAME/weights/          ID.safetensors: the weights at the end of a run, if they were asked for
    results/NAME/snapshots/        ID.safetensors: the state of a training under way, from which it can go on

A run is stored by writing one spool file under a temporary name and renaming it. One writer, which
holds the folder's lock, folds the spool into the files: the new files are in place before a spool file
goes, so a crash at any point leaves every record in one place or the other.
"""

from __future__ import annotations

import fcntl
import io
import json
import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suite.canonical import fingerprint
from suite.errors import InputError, first_line
from suite.files import cannot_write, check_folder, make_folder, write_atomic
from suite.record import AXIS_FIELDS, MIGRATIONS, SCHEMA_VERSION, Epoch, RunRecord
from suite.training.losses import WEIGHTS as LOSS_WEIGHTS

if TYPE_CHECKING:
    import pandas as pd  # imported by what makes a frame: workers and `lape status` do without that second

RUNS, HISTORY, SPOOL, WEIGHTS, LOCK = "runs.jsonl", "history.parquet", "spool", "weights", ".lock"
SNAPSHOTS = "snapshots"

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

    def put(self, record: RunRecord) -> None:
        """Keep a record: atomic, safe beside other writers. Raises `InputError` if it can't be written."""
        write_atomic(self.folder / SPOOL / f"{record.trial_id}.json", record.model_dump_json().encode())

    def has_spooled(self, trial_id: str) -> bool:
        """Whether a record of this trial waits to be folded."""
        return (self.folder / SPOOL / f"{trial_id}.json").exists()

    def weights(self, trial_id: str) -> Path:
        """Where the weights of a trial are, if they were kept."""
        return self.folder / WEIGHTS / f"{trial_id}.safetensors"

    def snapshot(self, trial_id: str) -> Path:
        """Where the state of a trial's training is while it is under way; of several seeds, that of the first."""
        return self.folder / SNAPSHOTS / f"{trial_id}.safetensors"

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
        history = load_history(self.folder, spool=False)
        if spooled:
            self._write_history(history, records)
            lines = [
                record.model_copy(update={"history": None}).model_dump_json()
                for record in sorted(records.values(), key=_sort_key)
            ]
            write_atomic(self.folder / RUNS, ("\n".join(lines) + "\n").encode())
            for path in spooled:
                path.unlink()
        return records

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Be the folder's one writer. The lock goes with the process, however that ends.

        Raises:
            InputError: another process holds it (says which), or a record could not be written.
        """
        path = self.folder / LOCK
        make_folder(self.folder / SPOOL)
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
        path = self.folder / RUNS
        check_folder(self.folder)
        if not path.exists():
            return []
        # Not splitlines: a record's text may hold other line separators, such as U+2028.
        lines = read_text(path).split("\n")
        return [_parse(line, f"{path}, line {number}") for number, line in enumerate(lines, 1) if line.strip()]

    def _spooled(self) -> dict[Path, RunRecord]:
        check_folder(self.folder / SPOOL)
        paths = sorted((self.folder / SPOOL).glob("*.json"))
        return {path: _parse(read_text(path), str(path)) for path in paths}

    def _write_history(self, kept: pd.DataFrame, records: dict[str, RunRecord]) -> None:
        import pandas as pd

        fresh = {record.trial_id: record for record in records.values() if record.history is not None}
        kept = kept[kept["trial_id"].isin(records.keys() - fresh.keys())]
        frame = pd.concat([kept, _history_frame(fresh.values())]) if len(kept) else _history_frame(fresh.values())
        buffer = io.BytesIO()
        frame.sort_values(["trial_id", "epoch"]).to_parquet(buffer, index=False)
        write_atomic(self.folder / HISTORY, buffer.getvalue())


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

    Raises:
        InputError: history.parquet, or a record that waits to be folded, is damaged.
    """
    import pandas as pd

    store, path = Store(Path(folder)), Path(folder) / HISTORY
    frame = _read_history(path) if path.exists() else _history_frame([])
    fresh = [record for record in store._spooled().values() if record.history is not None] if spool else []
    if fresh:
        old = frame[~frame["trial_id"].isin([record.trial_id for record in fresh])]
        frame = pd.concat([old, _history_frame(fresh)]) if len(old) else _history_frame(fresh)
    return frame.reset_index(drop=True)


def _read_history(path: Path) -> pd.DataFrame:
    import pandas as pd

    expected = _history_frame([]).columns
    types = dict.fromkeys(expected, "float64") | {"trial_id": "str", "epoch": "int64"}
    try:
        return pd.read_parquet(io.BytesIO(path.read_bytes()))[list(expected)].astype(types)
    except (OSError, ValueError, TypeError, KeyError) as error:  # pyarrow's own errors are ValueErrors
        raise InputError(
            "the history of the runs is damaged",
            expected=f"a Parquet file with the columns {', '.join(expected)}",
            found=first_line(error),
            where=str(path),
            fix="restore the file from version control, or delete it: the runs stay, only their curves are lost",
        ) from None


def _history_frame(records: Iterable[RunRecord]) -> pd.DataFrame:
    import pandas as pd

    rows = [{"trial_id": record.trial_id, **epoch.model_dump()} for record in records for epoch in record.history or ()]
    return pd.DataFrame(rows, columns=["trial_id", *Epoch.model_fields])


def _row(record: RunRecord) -> dict[str, Any]:
    row = record.model_dump(exclude=_NOT_COLUMNS)
    training = {key: value for key, value in record.config.items() if key not in ("axes", "seed_index")}
    # The weights of a loss's terms are the loss's: both sides of a contrast of losses are of one recipe.
    training["recipe"] = {key: value for key, value in training["recipe"].items() if key not in LOSS_WEIGHTS}
    return {**row, "environment": record.environment.group, "recipe_id": fingerprint(training)}


def _sort_key(record: RunRecord) -> tuple[str | int, ...]:
    return (*(getattr(record, axis) for axis in AXIS_FIELDS), record.recipe, record.seed_index, record.trial_id)


def _parse(line: str, where: str) -> RunRecord:
    values = parse_values(line, where)
    try:
        return RunRecord.model_validate(values)
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


def read_text(path: Path) -> str:
    """A file's text, without the mark that some editors put first; bytes that are no UTF-8 damage only their line."""
    try:
        return path.read_bytes().decode("utf-8-sig", errors="replace")
    except OSError as error:
        raise InputError(
            "a file of results can't be read",
            expected="a file of records",
            found=error.strerror or str(error),
            where=str(path),
            fix="move it away, or change its permissions",
        ) from None

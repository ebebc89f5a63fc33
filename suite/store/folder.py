"""Where records are kept: one folder per grid. A crash at any point loses nothing.

    results/NAME/runs.jsonl        a line per run, sorted; committed when it is evidence
    results/NAME/history.parquet   a row per epoch of every run
    results/NAME/spool/ID.json     runs that have not been folded into the two files yet
    results/NAME/weights/          ID.safetensors: the weights at the end of a run, if they were asked for
    results/NAME/same_code.jsonl   which changes of code were shown to change no run: see `suite.store.same_code`
    results/NAME/methods/          HASH.py: copies of the method files that runs used, as text that nobody loads
    results/NAME/snapshots/        checkpoints of unfinished training runs: see `suite.store.versions`

A run is stored by writing one spool file under a temporary name and renaming it. One writer, which
holds the folder's lock, folds the spool into the files: the new files are in place before a spool file
goes, so a crash at any point leaves every record in one place or the other.

A folder may come from a stranger. Nothing in it is executed or unpickled, everything that is read has bounds, and no
link is followed out of the folder.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from suite.errors import InputError
from suite.store.beats import RUNNING
from suite.store.files import (
    cannot_write,
    check_folder,
    check_inside,
    make_folder,
    read_regular,
    write_atomic,
)
from suite.store.history import HISTORY, history_frame, joined, stored_history
from suite.store.parsing import parse_record, read_lines, read_spooled, sort_key
from suite.store.record import RunRecord
from suite.store.same_code import SAME_CODE, SameCode, apply_proofs, read_same_code, write_same_code
from suite.store.storage import Folder, Place
from suite.store.versions import sweep

if TYPE_CHECKING:
    import pandas as pd  # imported by what makes a frame: workers and `lape status` do without that second

RUNS, SPOOL, WEIGHTS, LOCK = "runs.jsonl", "spool", "weights", ".lock"
SNAPSHOTS = "snapshots"
METHODS = "methods"
LARGEST_METHOD = 2**20  # bytes of a method file
GOING_ON = ("timeout", "error")  # failures that resume from their snapshot when they are tried again


class Store:
    """The records of one grid. Reading needs no lock; `collect` does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # The lines that this store wrote to runs.jsonl: a driver folds often, and needn't parse a record twice.
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

    def keep_method(self, name: str, text: str) -> None:
        """Keep a copy of a method file, as text that nobody loads. Raises `InputError` if it can't be written."""
        path = self._inside(METHODS, f"{name}.py")
        make_folder(path.parent)
        write_atomic(path, text.encode())

    def methods(self) -> dict[str, str]:
        """The copies of method files, by the hash of their content, which is their name.

        Raises:
            InputError: a file can't be read, is too large, or its content isn't what its name says.
        """
        found = {}
        for path in sorted(self._inside(METHODS).glob("*.py")):
            check_inside(path, self.folder)
            content = read_regular(path, LARGEST_METHOD) or b""
            if hashlib.sha256(content).hexdigest()[: len(path.stem)] != path.stem or len(path.stem) < 16:
                raise InputError(
                    "the copy of a method file is damaged",
                    expected="a file whose name is the hash of its content",
                    found="another content",
                    where=str(path),
                    fix="restore it from version control, or delete it: it is only kept for people to read",
                )
            found[path.stem] = content.decode("utf-8", "replace")
        return found

    def snapshots(self) -> Place:
        """Where the checkpoints of unfinished training runs are; seeds trained together share one, by the first id.

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
        apply_proofs(found.values(), self.same_code())
        return found

    def same_code(self) -> list[SameCode]:
        """Which changes of code were shown to change no run; raises `InputError` if a line is damaged."""
        self._inside(SAME_CODE)
        return read_same_code(self.folder)

    def keep_same_code(self, proofs: Iterable[SameCode]) -> None:
        """Add what isn't there yet. Call with the lock held. Raises `InputError` if it can't be written."""
        there = self.same_code()
        new = [proof for proof in proofs if proof not in there]
        if new:
            write_same_code(self._inside(), [*there, *new])

    def collect(self) -> dict[str, RunRecord]:
        """Fold the spool into runs.jsonl and history.parquet, and return the records. Call with the lock held.

        Raises:
            InputError: one of the files is damaged, or can't be written. Nothing is lost. Damage is found even if there
                is nothing to fold, so that a run can check before it trains that its results can be folded.
        """
        spooled = self._spooled()
        records = self._merged(spooled)
        history = stored_history(self.folder)
        if spooled:
            fresh = [record for record in records.values() if record.history is not None]
            kept = history[history["trial_id"].isin(records.keys() - {record.trial_id for record in fresh})]
            self._write(records.values(), joined(kept, history_frame(fresh)))
            for path in spooled:
                path.unlink()
            self._sweep(records)
        return records

    def absorb(self, records: Iterable[RunRecord], history: pd.DataFrame) -> None:
        """Replace the folded records and curves by these. Call with the lock held.

        history: as `load_history` gives it.

        Raises:
            InputError: the files can't be written. Nothing is lost.
        """
        self._write(records, history)

    def _write(self, records: Iterable[RunRecord], history: pd.DataFrame) -> None:
        buffer = io.BytesIO()
        history.sort_values(["trial_id", "epoch"]).to_parquet(buffer, index=False)
        write_atomic(self._inside(HISTORY), buffer.getvalue())
        held = [self._held(record) for record in sorted(records, key=sort_key)]
        write_atomic(self._inside(RUNS), ("\n".join(line for _, line in held) + "\n").encode())
        self._written = {line: record for record, line in held}
        self._lines = {record.trial_id: (record, line) for record, line in held}

    def _held(self, record: RunRecord) -> tuple[RunRecord, str]:
        """The record without its history, and its line in runs.jsonl."""
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
            self._inside(name)  # now: workers, whose messages nobody may read, write there
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
        lines = read_lines(self._inside(RUNS))
        return [self._written.get(line) or parse_record(line, where) for where, line in lines]

    def _spooled(self) -> dict[Path, RunRecord]:
        check_folder(self.folder / SPOOL)
        found: dict[Path, RunRecord] = {}
        for path in sorted(self._inside(SPOOL).glob("*.json")):
            check_inside(path, self.folder)
            record = read_spooled(path)
            if record is not None:  # another reader may have folded it just now
                found[path] = record
        return found

"""A grid's store together with the storage that its workers share, from which it collects their records.

    ADDRESS/NAME/records/ID.json               records that no driver has stored yet
    ADDRESS/NAME/weights/ID.safetensors        weights that no driver has stored yet
    ADDRESS/NAME/snapshots/…                   checkpoints of unfinished training runs: see `suite.store.versions`

A worker writes its record there before it hands it to the driver. If the driver dies, the next one finds the record
there. What has been stored in the results folder is removed from the storage.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from suite.errors import InputError
from suite.store.files import write_atomic
from suite.store.folder import Store
from suite.store.parsing import LARGEST_RECORD, parse_record
from suite.store.record import RunRecord
from suite.store.storage import Place, Storage
from suite.text import note

RECORDS, WEIGHTS = "records", "weights"
_PATIENCE = 20.0  # seconds for which the driver tries: it is asked again at each folding, and by the next run
_RECORD = re.compile(r"([0-9a-f]{16})\.json")
_WEIGHTS = re.compile(r"([0-9a-f]{16})\.safetensors")


class SharedStore(Store):
    """The records of one grid, some of which may still be at a shared address.

    Raises:
        InputError: the address is the results folder itself, from which nothing can come home.
    """

    def __init__(self, folder: Path, storage: Storage) -> None:
        super().__init__(folder)
        if storage.is_folder(folder):
            raise InputError(
                "the storage is the folder of the results itself",
                expected="another folder, or none: snapshots and records are in this one anyway",
                found=str(folder),
                where="--storage",
                fix="leave --storage out",
            )
        self._storage = storage

    def snapshots(self) -> Place:
        """At the shared address, so that another machine can go on."""
        return self._storage.place("snapshots", _PATIENCE)

    def collect(self) -> dict[str, RunRecord]:
        """As `Store.collect`, with the records and weights at the shared address, which are brought here first.

        If the storage fails, a note says so, and what is there stays there for the next time.
        """
        records = super().collect()
        before = set(self._spooled())
        brought = self._bring_home(records)
        if set(self._spooled()) - before:
            records = super().collect()
        # Only now, when they are in runs.jsonl here.
        with suppress(InputError):
            self._place(RECORDS).remove(brought)
        return records

    def _bring_home(self, stored: dict[str, RunRecord]) -> list[str]:
        """Copy new records into the spool. Returns the names of the objects that are no longer needed."""
        try:
            place = self._place(RECORDS)
            names = [name for name in place.names() if _RECORD.fullmatch(name)]
            brought = [name for name in names if self._bring_record(place, name, stored)]
            self._bring_weights(stored.keys() | {Path(name).stem for name in brought})
        except InputError as error:
            note(f"{error.problems[0].what} ({error.problems[0].found}): what is there comes home with the next run")
            return []
        return brought

    def _bring_record(self, place: Place, name: str, stored: dict[str, RunRecord]) -> bool:
        trial_id = Path(name).stem
        older = stored.get(trial_id)
        if older is not None and older.status == "done":
            return True
        content = place.read(name, LARGEST_RECORD)
        if content is None:
            return False
        try:
            self.put(parse_record(content.decode(errors="surrogateescape"), f"--storage, {name}", trial_id))
        except InputError as error:
            note(f"a record at the storage is left there: {error.problems[0].what} ({name})")
            return False
        return True

    def _bring_weights(self, trials: Iterable[str]) -> None:
        place, known = self._place(WEIGHTS), set(trials)
        for name in place.names():
            found = _WEIGHTS.fullmatch(name)
            if found is None or found[1] not in known:
                continue
            content = place.read(name)
            if content is not None:
                write_atomic(self.weights(found[1]), content)
                place.remove([name])

    def _place(self, kind: str) -> Place:
        return self._storage.place(kind, _PATIENCE)

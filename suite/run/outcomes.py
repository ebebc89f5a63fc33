"""The outcomes of a grid's runs: of each record only what `lape status` shows.

Ten thousand records are read and checked in about a second; after that, only what has changed is read.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from suite.data.datasets import Dataset
from suite.run.timing.pace import Pace, Paces
from suite.store.files import check_folder, check_inside
from suite.store.folder import RUNS, SPOOL
from suite.store.parsing import parse_record, read_lines, read_spooled
from suite.store.record import RunRecord, Status, run_name

Key = tuple[str, int]  # a cell's id and a seed index: as good as a trial's id, and known without hashing each trial


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a trial. seconds: of its training; pace: what it says of the time of others, if it is done."""

    trial_id: str
    key: Key
    status: Status
    label: str
    error: str
    seconds: float
    gpu: bool
    threads: int
    node: str | None
    pace: Pace | None


class Outcomes:
    """Reads the outcomes in a results folder, again and again. datasets: those that the grid declares itself."""

    def __init__(self, folder: Path, datasets: Iterable[Dataset] = ()) -> None:
        self._folder = folder
        self._paces = Paces(datasets)
        self._folded: dict[Key, Outcome] = {}
        self._of: tuple[int, ...] = ()
        self._spooled: dict[str, tuple[tuple[int, ...], Outcome]] = {}

    def read(self) -> dict[Key, Outcome]:
        """By cell and seed; a newer record replaces an older one unless only the older is done, as in `Store.records`.

        Raises:
            InputError: a line or file that is damaged, or that a newer version of the suite wrote.
        """
        spooled = self._read_spool()  # before the file that it is folded into: what moves meanwhile is read twice
        self._read_folded()
        found = dict(self._folded)
        for outcome in spooled:
            older = found.get(outcome.key)
            if older is None or older.status != "done" or outcome.status == "done":
                found[outcome.key] = outcome
        return found

    def _read_folded(self) -> None:
        path = self._folder / RUNS
        check_folder(self._folder)
        try:
            state = _state(path)
        except FileNotFoundError:
            self._folded, self._of = {}, ()
            return
        if state == self._of:
            return
        outcomes = (self._outcome(parse_record(line, where)) for where, line in read_lines(path))
        self._folded, self._of = {outcome.key: outcome for outcome in outcomes}, state

    def _read_spool(self) -> list[Outcome]:
        folder = self._folder / SPOOL
        check_folder(folder)
        check_inside(folder, self._folder)
        known, self._spooled = self._spooled, {}
        for path in sorted(folder.glob("*.json")):
            check_inside(path, self._folder)
            try:
                state = _state(path)
            except FileNotFoundError:
                continue  # it has been folded meanwhile
            held = known.get(path.name)
            if held is None or held[0] != state:
                record = read_spooled(path)
                if record is None:
                    continue
                held = state, self._outcome(record)
            self._spooled[path.name] = held
        return [outcome for _, outcome in self._spooled.values()]

    def _outcome(self, record: RunRecord) -> Outcome:
        return Outcome(
            trial_id=record.trial_id,
            key=(record.cell_id, record.seed_index),
            status=record.status,
            label=run_name(vars(record), record.seed_index),
            error=record.error or "",
            seconds=record.train_seconds or 0.0,
            gpu=record.environment.device not in ("cpu", "unknown"),
            threads=record.environment.threads,
            node=record.node,
            pace=self._paces.of_record(record) if record.status == "done" else None,
        )


def _state(path: Path) -> tuple[int, ...]:
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns

"""The outcomes of a grid's trials: only those parts of each record that `lape status` shows.

Reading and checking ten thousand records takes about a second. After that, only changed files are read.
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

Key = tuple[str, int]  # a cell's id and a seed index: identifies a trial without computing its hash


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a trial.

    `seconds` is the training time. `pace` is the measured speed, by which other trials' times are estimated; None
    unless the trial is done.
    """

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
    """Reads the outcomes in a results folder, as often as needed.

    Args:
        folder: The results folder.
        datasets: The data sets that the grid declares itself.
    """

    def __init__(self, folder: Path, datasets: Iterable[Dataset] = ()) -> None:
        self._folder = folder
        self._paces = Paces(datasets)
        self._folded: dict[Key, Outcome] = {}
        self._of: tuple[int, ...] = ()
        self._spooled: dict[str, tuple[tuple[int, ...], Outcome]] = {}

    def read(self) -> dict[Key, Outcome]:
        """Read all outcomes, by cell and seed.

        As in `Store.records`, a newer record replaces an older one, unless only the older one is done.

        Raises:
            InputError: A line or file is damaged, or was written by a newer version of the suite.
        """
        spooled = self._read_spool()  # first, so that a record that moves to the main file meanwhile isn't missed
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
                continue  # it has been moved to the main file meanwhile
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

"""Joining the results of several machines: nothing is lost, and two different results of one trial are refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suite.errors import InputError, Problem
from suite.store.files import check_folder, read_regular, resolved, write_atomic
from suite.store.folder import RUNS, SPOOL, Store
from suite.store.frames import load_history
from suite.store.history import HISTORY
from suite.store.record import RunRecord, differences, run_name
from suite.store.same_code import SameCode
from suite.store.storage import LARGEST

if TYPE_CHECKING:
    import pandas as pd

_SHOWN = 20  # conflicts in a message
_LONG = 40  # characters of a value in it


@dataclass(frozen=True)
class Joined:
    """What was merged into the folder of one grid.

    there: runs that were in the destination before. added, replaced: by source, how many runs are new, and how many
    took the place of a failure. weights, methods: files that were copied. total: runs in the destination now. strange:
    by source and grid, how many runs of a grid came whose runs and trials were all missing in the folder before.
    """

    folder: Path
    there: int
    added: Mapping[Path, int]
    replaced: Mapping[Path, int]
    weights: int
    total: int
    methods: int = 0
    strange: Mapping[tuple[Path, str], int] = field(default_factory=dict)


def merge(sources: Sequence[Path], destination: Path) -> list[Joined]:
    """Join results folders into one. Each holds one grid, or several, which are matched by name.

    A finished run takes the place of a failure; of two failures the destination's stays, or the first one. If two runs
    of a trial are both done, all deterministic fields must match (see `suite.store.record.differences`). A run's curve
    is copied with it, and its weights and the copies of method files if the destination has none. Everything is read
    and compared before anything is written, and each file is replaced atomically. The sources are not changed.

    Raises:
        InputError: a source has no results or is the destination, something is damaged or in conflict, or the
            destination can't be written.
    """
    kinds = {source: _kind(source) for source in sources}
    _check_places(sources, destination)
    if len({*kinds.values()}) > 1:
        raise InputError(
            "folders of grids and of single grids together",
            expected="sources of one kind",
            found=", ".join(f"{source}: {kind}" for source, kind in kinds.items()),
            where="lape merge",
            fix="name for all of them the folder of one grid (results/NAME), or the folder of all (results)",
        )
    if "a grid" in kinds.values():
        if destination.is_dir() and not _is_grid(destination) and grids_in(destination):
            raise InputError(
                "single grids can't be joined into a folder of grids",
                expected="the folder of one grid, new or not",
                found=f"the grids {', '.join(grids_in(destination))}",
                where=str(destination),
                fix=f"name the grid: {destination / _folder(sources[0]).name}",
            )
        plans = [_plan([_folder(source) for source in sources], destination)]
    else:
        if _is_grid(destination):
            raise InputError(
                "folders of grids can't be joined into a single grid",
                expected="a folder of grids, new or not",
                found="the folder of one grid",
                where=str(destination),
                fix=f"name the folder above it: {destination.parent}",
            )
        names = sorted({name for source in sources for name in grids_in(source)})
        plans = [
            _plan([source / name for source in sources if name in grids_in(source)], destination / name)
            for name in names
        ]
    conflicts = [conflict for plan in plans for conflict in plan.conflicts]
    if conflicts:
        more = [Problem(f"and {len(conflicts) - _SHOWN} more conflicts")] if len(conflicts) > _SHOWN else []
        raise InputError(problems=[*conflicts[:_SHOWN], *more])
    return [plan.carry_out() for plan in plans]


class _Plan:
    """How the results of one grid are joined."""

    def __init__(self, destination: Path) -> None:
        self.destination = destination
        self.conflicts: list[Problem] = []
        self.chosen: dict[str, tuple[Path, RunRecord]] = {}
        self.there = 0
        self._strange: dict[tuple[Path, str], int] = {}
        self._before: dict[str, str] = {}
        self._methods: dict[str, str] = {}  # copies of method files, by hash, that the destination lacks
        self._same_code: list[SameCode] = []
        self._replaces: set[str] = set()
        self._twins: dict[str, list[Path]] = {}  # other folders that have the same run

    def begin(self, records: Mapping[str, RunRecord]) -> None:
        """Start from the records of the destination."""
        self.there = len(records)
        self._before = {trial_id: record.started_at for trial_id, record in records.items()}
        self.add(self.destination, records)

    def note_strange(self, source: Path, records: Mapping[str, RunRecord]) -> None:
        """Count the runs of grids that share no trial with what is there, and have no run there. To call before `add`.

        They may be meant: grids share trials. They may also be of a folder that was named by mistake.
        """
        if not self.chosen:
            return
        known = {record.grid for _, record in self.chosen.values()}
        known |= {record.grid for trial_id, record in records.items() if trial_id in self.chosen}
        found = Counter(record.grid for record in records.values() if record.grid not in known)
        self._strange |= {(source, grid): count for grid, count in found.items()}

    def add_methods(self, folder: Path) -> None:
        """Carry the copies of method files, and what is known of changed code."""
        there = Store(self.destination).methods()
        self._methods |= {name: text for name, text in Store(folder).methods().items() if name not in there}
        self._same_code += Store(folder).same_code()

    def add(self, folder: Path, records: Mapping[str, RunRecord]) -> None:
        for trial_id, record in records.items():
            self._twins.setdefault(trial_id, [])
            before = self.chosen.get(trial_id)
            if before is None:
                self.chosen[trial_id] = (folder, record)
            elif record.status == "done" and before[1].status != "done":
                self.chosen[trial_id] = (folder, record)
                self._replaces.add(trial_id)
                self._twins[trial_id] = []
            elif record.status == "done":
                found = differences(before[1], record)
                if found:
                    self.conflicts.append(_conflict(trial_id, before[0], folder, found, record))
                self._twins[trial_id].append(folder)

    def carry_out(self) -> Joined:
        store = Store(self.destination)
        with store.lock():
            now = {trial_id: record.started_at for trial_id, record in store.collect().items()}
            if now != self._before:
                raise InputError(
                    "the destination changed while it was read",
                    expected="a folder in which nothing runs",
                    found=f"{len(now)} runs, where there were {len(self._before)}",
                    where=str(self.destination),
                    fix="merge again: nothing was changed",
                )
            for name, text in self._methods.items():
                store.keep_method(name, text)
            store.keep_same_code(self._same_code)
            weights = sum(self._copy_weights(store, trial_id) for trial_id in self.chosen)
            store.absorb([record for _, record in self.chosen.values()], self._history())
        added: dict[Path, int] = {}
        replaced: dict[Path, int] = {}
        for trial_id, (folder, _) in self.chosen.items():
            if folder != self.destination:
                count = replaced if trial_id in self._replaces else added
                count[folder] = count.get(folder, 0) + 1
        return Joined(
            self.destination,
            self.there,
            added,
            replaced,
            weights,
            len(self.chosen),
            len(self._methods),
            self._strange,
        )

    def _history(self) -> pd.DataFrame:
        """The curves of the chosen runs; of one that lost it, a twin's."""
        import pandas as pd

        wanted: dict[str, list[Path]] = {
            trial_id: [folder, *self._twins[trial_id]] for trial_id, (folder, _) in self.chosen.items()
        }
        folders = dict.fromkeys(folder for places in wanted.values() for folder in places)
        frames, found = [], set[str]()
        of_folder = {folder: load_history(folder) for folder in folders}
        for rank in range(max(map(len, wanted.values()), default=0)):
            for folder, history in of_folder.items():
                mine = {
                    trial_id
                    for trial_id, places in wanted.items()
                    if trial_id not in found and rank < len(places) and places[rank] == folder
                }
                part = history[history["trial_id"].isin(mine)]
                if len(part):
                    frames.append(part)
                    found |= set(part["trial_id"])
        return pd.concat(frames) if frames else load_history(self.destination).iloc[:0]

    def _copy_weights(self, store: Store, trial_id: str) -> bool:
        target = store.weights(trial_id)
        folder, record = self.chosen[trial_id]
        if record.status != "done" or (target.exists() and trial_id not in self._replaces):
            return False
        for place in (folder, *self._twins[trial_id]):
            if place != self.destination and (content := read_regular(Store(place).weights(trial_id), LARGEST)):
                write_atomic(target, content)
                return True
        return False


def _plan(sources: Sequence[Path], destination: Path) -> _Plan:
    plan = _Plan(destination)
    there = Store(destination).records()
    plan.begin(there)
    for source in sources:
        records = Store(source).records()
        plan.note_strange(source, records)
        plan.add(source, records)
        plan.add_methods(source)
    return plan


def _conflict(
    trial_id: str, one: Path, other: Path, found: Mapping[str, tuple[Any, Any]], record: RunRecord
) -> Problem:
    told = "; ".join(f"{name}: {_short(mine)} and {_short(theirs)}" for name, (mine, theirs) in found.items())
    name = run_name(vars(record), record.seed_index)
    return Problem(
        f"two runs of trial {trial_id} are in conflict ({name})",
        expected="the same deterministic fields in both runs; only times and machines may differ",
        found=told,
        where=f"{one} and {other}",
        fix="`lape rerun` says which is right on this machine; delete the line of the other, and merge again",
    )


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _LONG else text[:_LONG] + "…"


def _kind(source: Path) -> str:
    if source.is_file() and source.name == RUNS:
        return "a grid"
    check_folder(source)
    if _is_grid(source):
        return "a grid"
    if grids_in(source):
        return "a folder of grids"
    raise InputError(
        "no results to merge",
        expected=f"the folder of a grid's results, with {RUNS} or {SPOOL}/, or a folder of such folders",
        found="nothing" if not source.exists() else "none of these",
        where=str(source),
        fix="name what `lape run --results` was told, or a grid's folder in it",
    )


def _folder(source: Path) -> Path:
    return source if source.is_dir() else source.parent


def _is_grid(folder: Path) -> bool:
    return any((folder / name).exists() for name in (RUNS, HISTORY)) or (folder / SPOOL).is_dir()


def grids_in(folder: Path) -> list[str]:
    """The names of the grids that have records in a folder of results."""
    if not folder.is_dir():
        return []
    return sorted(path.name for path in folder.iterdir() if not path.is_symlink() and path.is_dir() and _is_grid(path))


def _check_places(sources: Sequence[Path], destination: Path) -> None:
    target = resolved(destination)
    for source in sources:
        found = resolved(_folder(source))
        if found == target or found.is_relative_to(target) or target.is_relative_to(found):
            raise InputError(
                "a source and the destination are one, or one is in the other",
                expected="folders apart from each other",
                found=f"{source} and {destination}",
                where="lape merge",
                fix="give another destination: what is in it already stays, so it need not be empty",
            )

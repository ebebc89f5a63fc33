"""`lape rerun`: trains one trial again and compares it with its record."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.console import Console

from suite.cli.commands.console import open_console
from suite.cli.commands.run import check_batches
from suite.cli.commands.thread_note import note_threads
from suite.cli.commands.train_again import train_again
from suite.data.cache import open_root
from suite.errors import InputError
from suite.grid.shipped import known_files, typed_name
from suite.grid.trial import Trial
from suite.report.workspace import Workspace, open_workspace
from suite.store.folder import Store
from suite.store.merge import grids_in
from suite.store.record import RunRecord, differences
from suite.text import note
from suite.train.machine import Machine


def rerun_trial(
    trial_id: str,
    grid: str | None,
    overrides: Sequence[str],
    seeds: int | None,
    results: Path,
    *,
    machine: Machine,
    weights: Path | None,
) -> bool:
    """Train one trial again and compare it with its record. If there is no record yet, the new one is stored.

    Args:
        trial_id: the trial's id, or the beginning of it.
        grid: the grid of the trial; None: search all of grids/.
        overrides: overrides of the grid.
        seeds: the number of seed indices of the grid; None: those of its file.
        results: the folder of all grids' results.
        machine: how the trial is trained.
        weights: a file to write the weights to, if training succeeds; None: don't write them.

    Returns:
        Whether the new record matches the stored one; without a stored one, whether training succeeded.

    Raises:
        InputError: there isn't exactly one such trial, or the trial failed from an infrastructure error.
    """
    from suite.models.weights.checkpoint import check_name, write_checkpoint

    machine = replace(machine, data_root=open_root(machine.data_root))
    workspace, trial = _find(trial_id, grid, overrides, seeds, results)
    check_batches([trial], machine)
    if weights is not None:
        check_name(weights)
    note_threads(machine)
    console = open_console()
    console.print(f"{trial.id}  {trial.label}", highlight=False)
    record, model = train_again(trial, machine)
    console.print(_told("now", record), highlight=False)
    same = _compare(console, workspace, record)
    if weights is not None and model is not None:
        write_checkpoint(weights, model, trial.model, dataset=trial.dataset.name, trial_id=trial.id)
        console.print(f"weights: {weights}", highlight=False, markup=False, soft_wrap=True)
    return same


def _compare(console: Console, workspace: Workspace, record: RunRecord) -> bool:
    """Print the differences between a new record and the stored one, and return whether they match.

    If there is no stored record, the new one is stored, and the result is whether its training succeeded.
    """
    stored = workspace.records.get(record.trial_id)
    if stored is None:
        with workspace.store.lock():
            workspace.store.put(record)
            workspace.store.collect()
        console.print("there was no record of it; this one is stored", highlight=False)
        return record.status == "done"
    console.print(_told("stored", stored), highlight=False)
    different = differences(record, stored)
    if different and record.environment != stored.environment:
        console.print(f"made by {stored.environment.group}; now {record.environment.group}", highlight=False)
    console.print("the same" if not different else f"different in {', '.join(different)}", highlight=False)
    return not different


def _told(when: str, record: RunRecord) -> str:
    result = "–" if record.top1 is None else f"{record.top1:.2f} % (best epoch {record.top1_best_epoch:.2f} %)"
    return f"{when + ':':<8}{record.status}, {result}, {record.epochs} epochs"


def _find(
    trial_id: str, grid: str | None, overrides: Sequence[str], seeds: int | None, results: Path
) -> tuple[Workspace, Trial]:
    """Find the single trial whose id begins with `trial_id`, in one grid or in all of grids/.

    Args:
        trial_id: the id, or the beginning of it.
        grid: the grid to search; None: all of grids/.
        overrides: overrides of the grids.
        seeds: the number of seed indices.
        results: the folder of all grids' results.

    Raises:
        InputError: there is no such trial, or more than one.
    """
    grids = [grid] if grid is not None else [typed_name(path) for path in known_files().values()]
    open_one = partial(open_workspace, overrides=overrides, seeds=seeds, results=results, reports=Path("reports"))
    found: dict[str, tuple[Workspace, Trial]] = {}
    for name in grids:
        try:
            workspace = open_one(name)
        except InputError as error:
            if grid is not None:
                raise
            note(f"{name} is left out, `lape check {name}` tells why: {error.problems[0].what}")
            continue
        for trial in workspace.expansion.trials:
            if trial.id.startswith(trial_id.lower()):
                before = found.get(trial.id)  # grids may share a trial: the one with its record is meant
                if before is None or (trial.id not in before[0].records and trial.id in workspace.records):
                    found[trial.id] = workspace, trial
    if len(found) == 1:
        return next(iter(found.values()))
    stored = _stored(trial_id, results) if grid is None and not found else None
    fix = "take an id from runs.jsonl or from `lape status GRID`; name its grid with --grid FILE if it isn't in grids/"
    if stored is not None:
        fix = f"give the file of the grid {stored.name!r} with --grid FILE"
    raise InputError(
        f"{'no' if not found else 'more than one'} trial has an id that begins with {trial_id!r}",
        expected="the id of one trial",
        found=", ".join(list(found)[:5]) or (f"its record, in {stored}" if stored is not None else "none"),
        where="grids/, and the grids that come with the suite" if grid is None else grid,
        fix=fix,
    )


def _stored(trial_id: str, results: Path) -> Path | None:
    """The folder of a grid's results that have such a trial; None if there is none, or if they can't be read."""
    for name in grids_in(results):
        with suppress(InputError):
            if any(known.startswith(trial_id.lower()) for known in Store(results / name).records()):
                return results / name
    return None

"""`lape run --stale verify`: whether code that has changed still trains the same."""

from __future__ import annotations

from rich.console import Console

from suite.cli.commands.console import print_line
from suite.cli.commands.train_again import train_again
from suite.report.workspace import Workspace
from suite.run.stale import Check, checks, stale_records
from suite.store.record import RunRecord, differences
from suite.store.same_code import SameCode, scope_of
from suite.text import counted
from suite.train.machine import Machine


def check_stale(workspace: Workspace, machine: Machine, console: Console | None) -> None:
    """Train one stale run of each scope again. Where the outcome is the same, its records are no longer stale.

    Each result is kept at once, so that the command can be stopped and repeated. No record changes.

    Args:
        workspace: The grid with its results.
        machine: How trials are trained.
        console: Where to tell what came of each; None: nowhere.

    Raises:
        InputError: another process runs this grid, the store is damaged or can't be written, or the machine failed.
    """
    store = workspace.store
    with store.lock():
        stored = store.collect()
        to_do = checks(stale_records(workspace.expansion.trials, stored), stored)
        for number, check in enumerate(to_do, 1):
            if console is not None:
                print_line(console, f"check {number} of {len(to_do)}: {check.trial.id} ({check.trial.label})")
            record, _ = train_again(check.trial, machine)
            told = _different(check, record)
            if not told:
                store.keep_same_code([_proof(check, record)])
                runs = counted(len(check.stands_for), "stored run is", "stored runs are")
                told = f"the same result with today's code: {runs} no longer stale"
            if console is not None:
                print_line(console, f"  {told}")


def _different(check: Check, record: RunRecord) -> str:
    """What differs between the stored run and the new one, in words; empty if nothing does."""
    found = [name for name in differences(record, check.record) if name != "code"]
    if not found:
        return ""
    before, now = check.record.environment, record.environment
    made = "" if before == now else f" (made by {before.group}, {before.processor}; now {now.group}, {now.processor})"
    runs = counted(len(check.stands_for), "stored run stays", "stored runs stay")
    return f"different in {', '.join(found)}{made}: {runs} stale"


def _proof(check: Check, record: RunRecord) -> SameCode:
    older, newer = check.record.code_now, record.code
    assert older is not None  # or it weren't stale
    assert newer is not None  # every new record has it
    return SameCode(
        trial_id=record.trial_id,
        scope=scope_of(record.config),
        older=older,
        newer=newer,
        environment=record.environment.group,
        commit=record.environment.commit,
        checked_at=record.started_at,
    )

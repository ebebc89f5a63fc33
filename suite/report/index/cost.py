"""What it would take to test a claim, as `lape plan` knows it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from suite.grid.trial import Trial
from suite.report.workspace import Workspace
from suite.run.plan import expectation
from suite.run.timing.estimate import estimate
from suite.text import duration
from suite.verdict.claims.claim import Claim, level_of


def trials_of(claim: Claim, trials: Iterable[Trial]) -> list[Trial]:
    """The trials of both sides of a claim; none if the grid lacks a side."""
    found: dict[str, list[Trial]] = {claim.contrast.baseline: [], claim.contrast.treatment: []}
    sides: dict[str, str | None] = {}  # by cell: the side that its trials are of
    for trial in trials:
        if trial.cell_id not in sides:
            side = claim.contrast.side(level_of(trial))
            sides[trial.cell_id] = None if side is None else side[0]
        if (own := sides[trial.cell_id]) is not None:
            found[own].append(trial)
    return [trial for side in found.values() for trial in side] if all(found.values()) else []


def cost_text(workspace: Workspace, claim: Claim, trials: Sequence[Trial]) -> str:
    """The training runs that are still to do, and how long they take where that is known.

    The time is that of the grid file, which quotes papers, or else that of the grid's own records. A calibration isn't
    used: the page would then depend on the machine that writes it.
    """
    to_do = [trial for trial in trials if trial.id not in workspace.records]
    if not to_do:
        return ""
    epochs = sorted({trial.recipe.epochs for trial in to_do})
    length = f"{epochs[0]:,}" if len(epochs) == 1 else f"{epochs[0]:,} to {epochs[-1]:,}"
    at = "" if claim.epoch is None else f", judged at epoch {claim.epoch}"
    return f"{len(to_do)} runs of {length} epochs{at}; {_time(workspace, to_do)}"


def _time(workspace: Workspace, to_do: Sequence[Trial]) -> str:
    published = expectation(to_do, workspace.grid.file.expect)
    if published.hours:
        parts = [f"{_hours(hours)} in all on {hardware}" for hardware, hours in published.hours.items()]
        return f"{' and '.join(parts)}{_rest(published.unknown)}"
    measured = estimate(to_do, workspace.recorded_paces)
    if measured.device is None or not measured.known:
        return "time unknown"
    return f"about {duration(measured.seconds)} in all on {measured.device.label}{_rest(measured.unknown)}"


def _hours(hours: float) -> str:
    return f"{hours:,.0f} h" if hours >= 10 else duration(3600 * hours)


def _rest(unknown: int) -> str:
    return f", and {unknown} of unknown time" if unknown else ""

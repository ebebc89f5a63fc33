"""The answer of `lape plan --json`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from suite.cli.answers.answer import Part
from suite.cli.answers.choices import ChoicePart, choice_parts
from suite.cli.commands.plan_claims import outlooks
from suite.cli.commands.plan_disk import corrupted_copies
from suite.cli.commands.plan_power import gain_spreads, powers
from suite.cli.commands.plan_weights import weights_line
from suite.data.tasks import TaskName
from suite.errors import Problem
from suite.run.timing.estimate import LEVEL, CellEstimate, Estimate
from suite.verdict import stats
from suite.verdict.claims.claim import Claim, untested

if TYPE_CHECKING:
    from suite.report.workspace import Workspace
    from suite.run.plan import Plan
    from suite.run.stale import Stale


class TrialCounts(Part):
    """The trials of a grid by their state."""

    total: int
    done: int
    failed: int
    to_do: int


class StalePart(Part):
    """A stored run that was made by other code than that at hand."""

    trial_id: str
    label: str
    axes: list[str] = Field(description="the axes whose level has changed")


class DroppedPart(Part):
    """A cell of the grid that doesn't become trials."""

    cell: str
    reason: str


class ClaimsPart(Part):
    """The claims that the grid names."""

    to_judge: int
    untested: list[str] = Field(description="the ids of the claims that this grid can't test")


class PowerPart(Part):
    """The smallest gain that so many pairs can show, with 80 % power at α 0.05; null: one pair shows none."""

    pairs: int
    standard_deviations: float | None = Field(description="in standard deviations of the paired gains")
    points_low: float | None = Field(
        description="in points, or the claims' own unit, by the smallest spread of the runs so far; null: no runs"
    )
    points_high: float | None = Field(description="by the largest spread")


class PowerLevelPart(Part):
    """The same at a level at which claims of the grid are tested by a single look."""

    level: float = Field(description="what a p-value must fall below: α, divided among the claims of a family")
    claims: list[str] = Field(description="the ids of the claims that are tested at it; empty: there are none")
    pairs: int
    standard_deviations: float | None
    points_low: float | None
    points_high: float | None


class CellPart(Part):
    """The trials to do of one cell, and the time that they take."""

    cell_id: str
    cell: str
    trials: int
    seconds_per_epoch: float | None
    seconds_per_trial: float | None
    start_up_seconds: float
    seconds: float | None = Field(description="of all its trials; null: unknown")
    hours: float | None
    unit: str | None
    basis: str | None = Field(description="what the time was measured on: runs, calibration, or a similar model")
    measured: int = Field(description="how many measurements that was")


class OutlookPart(Part):
    """What a claim with a largest number of pairs will probably take, if pairs are added until it is decided."""

    claim: str
    pairs: int
    most: int
    level: float = Field(description="what the claim's own p-values must fall below: its share of α")
    sd: float = Field(description="the standard deviation of gains that is assumed, in points; 1 if it isn't known yet")
    known: bool = Field(description="whether it is known; otherwise gains are in standard deviations")
    ends: dict[float, float] = Field(description="by true gain: after how many pairs it ends on average")
    shown: float = Field(description="the smallest true gain that is found with 80 % power")
    pair_seconds: float | None


class PlanAnswer(Part):
    """What a run of a grid would do, and what it takes. Times are seconds unless the key says hours."""

    format: Literal["lape/plan/1"] = "lape/plan/1"
    grid: str
    task: TaskName
    trials: TrialCounts
    dropped_cells: int
    device: str | None = Field(description="what the times were measured on; null: nothing was measured")
    seconds: float | None = Field(description="of training, on one worker")
    interval: tuple[float, float] | None
    level: float = Field(description="the level of the intervals")
    hours: float | None
    hours_interval: tuple[float, float] | None
    unit: str | None = Field(description="GPU-hours or core-hours")
    workers: int = Field(description="trials at a time")
    wall_seconds: float | None = Field(description="until all trials have ended, with so many workers")
    wall_interval: tuple[float, float] | None
    spread: float | None
    degrees_of_freedom: float | None
    trials_without_estimate: int
    cells: list[CellPart]
    not_runnable: str | None = Field(description="why the suite can't run this grid; null: it can")
    other_runs: int = Field(description="stored runs of other trials, such as those of another recipe")
    stale: list[StalePart]
    choices: list[ChoicePart] = Field(description="of a grid with `choose`, a part per side; else empty")
    dropped: list[DroppedPart]
    claims: ClaimsPart
    power: PowerPart = Field(description="as if one claim were tested")
    power_by_level: list[PowerLevelPart] = Field(description="at the levels of the grid's claims, the highest first")
    until_decided: list[OutlookPart]
    corrupted_bytes: int = Field(description="of the corrupted copies of test images on disk; 0: none are tested")
    weights: list[str] = Field(
        description="what is wrong with the weights of other models that trials to do need; empty: nothing"
    )
    budget: str = Field(description="in what the grid is smaller than the paper's experiment; empty: it isn't")
    command: str = Field(description="the command that runs what is to do")


def plan_answer(
    workspace: Workspace,
    plan: Plan,
    expected: Estimate,
    stale: Sequence[Stale],
    weights: Sequence[Problem] | None,
) -> PlanAnswer:
    """The answer of `lape plan --json`.

    Args:
        workspace: the grid with its results.
        plan: what is done, and what is to do.
        expected: the time that it takes.
        stale: the stored runs that other code made.
        weights: what is wrong with weights of other models, by `weights_problems`.
    """
    device, interval = expected.device, expected.interval
    unmatched = untested(workspace.claims, workspace.expansion.trials)
    return PlanAnswer(
        grid=workspace.grid.name,
        task=workspace.grid.file.task,
        trials=trial_counts(plan),
        dropped_cells=len(plan.dropped),
        device=None if device is None else device.label,
        seconds=expected.seconds if expected.known else None,
        interval=interval,
        level=LEVEL,
        hours=None if device is None else device.hours(expected.seconds),
        hours_interval=None
        if device is None or interval is None
        else (device.hours(interval[0]), device.hours(interval[1])),
        unit=None if device is None else device.unit,
        workers=expected.workers,
        wall_seconds=expected.wall if expected.known else None,
        wall_interval=expected.wall_interval,
        spread=expected.spread,
        degrees_of_freedom=expected.freedom,
        trials_without_estimate=expected.unknown,
        cells=[cell_part(expected, cell) for cell in expected.cells],
        not_runnable=workspace.grid.file.not_runnable or None,
        other_runs=plan.others,
        choices=choice_parts(workspace.choices),
        stale=[StalePart(trial_id=one.trial.id, label=one.trial.label, axes=list(one.axes)) for one in stale],
        dropped=[DroppedPart(cell=cell.label, reason=cell.reason) for cell in plan.dropped],
        claims=ClaimsPart(to_judge=len(workspace.claims), untested=[claim.id for claim in unmatched]),
        power=_power(workspace, unmatched),
        power_by_level=[PowerLevelPart.model_validate(vars(one)) for one in powers(workspace)],
        until_decided=[OutlookPart(**vars(one)) for one in outlooks(workspace, expected)],
        corrupted_bytes=sum(one.bytes_of_all for one in corrupted_copies(workspace)),
        weights=[weights_line(problem) for problem in weights or ()],
        budget=workspace.budget_note,
        command=workspace.command,
    )


def trial_counts(plan: Plan) -> TrialCounts:
    """The trials of a plan by their state."""
    return TrialCounts(total=plan.total, done=len(plan.done), failed=len(plan.failed), to_do=len(plan.to_do))


def cell_part(expected: Estimate, cell: CellEstimate) -> CellPart:
    """The time of one cell's trials."""
    device, whole = expected.device, None if cell.seconds is None else cell.trials * (cell.seconds + cell.start_up)
    return CellPart(
        cell_id=cell.cell_id,
        cell=cell.label,
        trials=cell.trials,
        seconds_per_epoch=None if cell.seconds is None else cell.seconds / cell.epochs,
        seconds_per_trial=cell.seconds,
        start_up_seconds=cell.start_up,
        seconds=whole,
        hours=None if whole is None or device is None else device.hours(whole),
        unit=None if device is None else device.unit,
        basis=cell.basis,
        measured=cell.measured,
    )


def _power(workspace: Workspace, unmatched: Sequence[Claim]) -> PowerPart:
    pairs = len(workspace.grid.file.seeds)
    if pairs < 2:
        return PowerPart(pairs=pairs, standard_deviations=None, points_low=None, points_high=None)
    spreads = gain_spreads(workspace, {claim.id for claim in workspace.claims} - {claim.id for claim in unmatched})
    low, high = (stats.smallest_gain(pairs, end(spreads)) if spreads else None for end in (min, max))
    smallest = stats.smallest_gain(pairs, 1.0)
    return PowerPart(pairs=pairs, standard_deviations=smallest, points_low=low, points_high=high)

"""The questions of a grid: its claims with the cells that they compare, and what decides their next pair."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from suite.errors import InputError
from suite.report.workspace import Workspace
from suite.verdict.deciding import Deciding, questions


@dataclass
class Clock:
    """The time that a run has. hours: None for as much as it takes."""

    hours: float | None
    begun: float

    def out_of_time(self, seconds: float) -> bool:
        """Whether so many more seconds would end too late."""
        return self.hours is not None and time.monotonic() + seconds > self.begun + 3600 * self.hours


def deciding(workspace: Workspace, clock: Clock | None = None) -> Deciding:
    """What decides the next pair of a grid.

    Raises:
        InputError: the grid has no claim that its runs could test.
    """
    seeds, fixed = workspace.seed_order, workspace.grid.declared_seeds
    if workspace.grid.seeds is not None:
        fixed = len(seeds)
    whole = workspace.grid.with_seeds(len(seeds)).expand()
    asked = questions(workspace.claims, whole.trials, seeds, fixed)
    if not asked:
        raise InputError(
            "nothing to decide",
            expected="a grid with a claim whose two sides are among its cells",
            found=f"{len(workspace.claims)} claims, none of which this grid tests",
            where=str(workspace.grid.document.path),
            fix="name a claim file under `claims:`, or run the grid without --until-decided",
        )
    trials = list({trial.id: trial for one in asked for seed in one.seeds for trial in one.pair(seed)}.values())
    expected = workspace.estimate(trials, 1)
    epochs = any(one.claim.epoch is not None for one in asked)
    return Deciding(
        asked, seeds, fixed, expected.trial_seconds, (clock or Clock(None, 0.0)).out_of_time,
        (lambda: replace(workspace).history) if epochs else None,
    )  # fmt: skip

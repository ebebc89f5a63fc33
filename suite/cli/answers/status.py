"""The answer of `lape status --json`: one line for each update."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from suite.cli.answers.answer import OpenPart, Part
from suite.cli.answers.choices import ChoicePart, choice_parts
from suite.grid.choice import Choice
from suite.run.status import View
from suite.run.timing.forecast import Forecast


class StatusCounts(Part):
    """The trials of a grid by their state."""

    total: int
    to_do: int
    running: int
    lost: int = Field(description="trials whose heartbeats have stopped; they count as to do")
    done: int
    failed: dict[str, int] = Field(description="by status: diverged, error, timeout, oom")


class NodePart(Part):
    """A machine with running trials."""

    name: str
    running: int
    images_per_second: float


class RunningPart(Part):
    """A running trial."""

    label: str
    lost: bool
    silent: float = Field(description="seconds since its last heartbeat")
    share: float | None = Field(description="how much of the training is done, from 0 to 1")
    trial_id: str
    started_at: str
    node: str | None
    device: str | None
    seconds: float
    idle: float = Field(description="seconds since its last step")
    epoch: int
    epochs: int | None
    step: int
    steps: int | None
    images_per_second: float | None


class FailurePart(Part):
    """A trial that failed."""

    trial_id: str
    label: str
    status: str
    node: str | None
    error: str = Field(description="the last line of its error")


class EstimatePart(OpenPart):
    """The estimated time of the last run, and the actual time if it has ended. Times are seconds."""

    made_at: str
    device: str | None
    trials: int
    unknown: int
    seconds: float
    interval: tuple[float, float] | None
    workers: int
    wall: float
    wall_interval: tuple[float, float] | None
    cells: dict[str, float]
    took: dict[str, Any] | None
    verdict: str | None = Field(description="a sentence that compares estimate and actual time")


class StepPart(Part):
    """What the first pairs of a claim said. Gains are in points; null: not defined yet."""

    pairs: int
    mean: float
    low: float | None = Field(description="the lower end of the interval that holds at all looks")
    high: float | None
    boundary: float | None = Field(description="how far from zero the mean must lie for a gain, or a loss, to be shown")
    word: str


class ClaimPart(Part):
    """A claim that is judged after each pair."""

    claim: str
    word: str
    max_pairs: int | None
    path: list[StepPart]


class StatusAnswer(Part):
    """The state of a grid at one moment. Times are seconds unless the key says hours."""

    format: Literal["lape/status/1"] = "lape/status/1"
    grid: str
    at: str
    complete: bool
    trials: StatusCounts
    nodes: list[NodePart]
    images_per_second: float
    spent_hours: dict[str, float]
    left_hours: dict[str, float]
    seconds_left: float | None
    trials_without_estimate: int
    underway: list[RunningPart]
    failures: list[FailurePart]
    estimate: EstimatePart | None
    claims: list[ClaimPart] = Field(description="those that are judged after each pair")
    choices: list[ChoicePart] = Field(default=[], description="of a grid with `choose`, a part per side; else empty")


def status_answer(
    view: View, found: Forecast | None, claims: Sequence[Mapping[str, Any]] = (), choices: Sequence[Choice] = ()
) -> StatusAnswer:
    """The answer for a view of a grid.

    Args:
        view: the view.
        found: the estimate of the grid's last run.
        claims: those that are judged after each pair.
        choices: of a grid with `choose`.
    """
    estimate = None if found is None else found.model_dump() | {"verdict": found.verdict}
    further = {"estimate": estimate, "claims": list(claims), "choices": choice_parts(choices)}
    return StatusAnswer.model_validate(view.values() | further)

"""The answer of `lape run --json`: a line for each event. The first is "planned", the last "ended"."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, RootModel

from suite.cli.answers.answer import Part
from suite.cli.answers.plan import TrialCounts
from suite.verdict.sentences import Word


class Event(Part):
    """What all events have."""

    format: Literal["lape/run/1"] = "lape/run/1"
    at: str = Field(description="when it happened, in UTC")


class Planned(Event):
    """The run begins."""

    event: Literal["planned"] = "planned"
    grid: str
    trials: TrialCounts
    now: int = Field(description="how many trials this run will train")
    seconds: float | None = Field(description="estimated until the end; null: unknown")


class Started(Event):
    """A trial starts, for the first time or as a retry."""

    event: Literal["started"] = "started"
    trial_id: str
    label: str


class Progressed(Event):
    """A trial on a machine without access to the results folder tells how far it is."""

    event: Literal["progressed"] = "progressed"
    trial_id: str
    share: float | None = Field(description="how much of the training is done, from 0 to 1")
    images_per_second: float | None


class Finished(Event):
    """A trial has ended, successfully or not, and its record is stored."""

    event: Literal["finished"] = "finished"
    trial_id: str
    label: str
    status: str = Field(description="done, diverged, error, timeout or oom")
    top1: float | None = Field(description="percent, after the last epoch")
    epochs: int
    train_seconds: float | None
    error: str = Field(description="the last line of its error; empty: there is none")


class Delayed(Event):
    """A trial failed from an infrastructure error, and will be retried."""

    event: Literal["delayed"] = "delayed"
    trial_id: str
    label: str
    reason: str
    seconds: float = Field(description="until the retry")


class Skipped(Event):
    """Trials that are not run. They get no record."""

    event: Literal["skipped"] = "skipped"
    trial_ids: list[str]
    reason: str


class ClaimWord(Part):
    """A claim and its verdict's word; `lape verify --json` has the numbers."""

    claim: str
    word: Word
    provisional: bool


class Ended(Event):
    """The run is over."""

    event: Literal["ended"] = "ended"
    grid: str
    complete: bool = Field(description="whether every trial is done: then the exit code is 0, else 1")
    trials: TrialCounts
    verdicts: list[ClaimWord]
    report: str = Field(description="the path of the report")
    notes: list[str]


class RunAnswer(
    RootModel[
        Annotated[Planned | Started | Progressed | Finished | Delayed | Skipped | Ended, Field(discriminator="event")]
    ]
):
    """One event of a run."""

"""The answer of `lape try --json`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from suite.cli.answers.answer import Part
from suite.cli.answers.status import StepPart
from suite.cli.answers.verify import VerdictPart, verdicts_answer
from suite.cli.trying.telling import Told
from suite.verdict.paths import path_values


class TriedPart(Part):
    """What was trained."""

    dataset: str
    train_images: int
    arch: str
    pe: str
    epochs: int
    recipe: str


class TryAnswer(Part):
    """What came of a method; gains are percentage points. Exit code 1 if `end` is "time" or "blocked", else 0."""

    format: Literal["lape/try/1"] = "lape/try/1"
    method: str
    axis: str
    baseline: str
    hours: float = Field(description="the time that this call was given")
    grid: str = Field(description="the grid's file, which `lape run`, `status` and `report` take")
    report: str = Field(description="the path of the report")
    tried: TriedPart
    end: Literal["decided", "all pairs", "blocked", "time"] = Field(
        description="why no further pair was run: the claim has a word; it has all its pairs; a failed pair stops it; "
        "the time is spent, and the same command goes on"
    )
    verdict: VerdictPart
    path: list[StepPart] = Field(description="what each look said")
    cannot_say: list[str] = Field(description="what these runs don't say")


def try_answer(told: Told) -> TryAnswer:
    """The answer for what was told."""
    (verdict,) = verdicts_answer([told.verdict]).root
    trial = told.trial
    evidence = told.verdict.evidence
    return TryAnswer(
        method=told.question.method,
        axis=told.question.axis,
        baseline=told.question.baseline,
        hours=told.hours,
        grid=str(told.grid),
        report=str(told.report),
        tried=TriedPart(
            dataset=trial.dataset.name,
            train_images=trial.recipe.train_images or trial.dataset.train_images,
            arch=trial.arch.name,
            pe=trial.pe,
            epochs=trial.recipe.total_epochs,
            recipe=trial.recipe_name,
        ),
        end=told.end or "time",
        verdict=verdict,
        path=[] if evidence is None else [StepPart.model_validate(step) for step in path_values(evidence)],
        cannot_say=list(told.cannot_say),
    )

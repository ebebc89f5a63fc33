"""The answers of `lape verify --json`, an array of verdicts, and of `lape verify --static --json`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field, RootModel

from suite.cli.answers.answer import OpenPart
from suite.verdict.paper_level import by_claim
from suite.verdict.sentences import Word
from suite.verdict.verdicts import Verdict, to_json


class ContrastPart(OpenPart):
    """The two cells that a claim compares."""

    axis: str
    baseline: str
    treatment: str
    match: dict[str, str]


class ClaimPart(OpenPart):
    """A published gain, where it stands, and how it is tested. Gains are percentage points."""

    id: str
    paper: str
    version: str
    table: str
    row: str
    kind: Literal["published", "analogue", "own"]
    published_for: str
    evidence: str = Field(description="how well the number is documented")
    contrast: ContrastPart
    metric: str
    claimed_gain: float
    alpha: float
    margin: float
    side: str
    min_pairs: int


class EvidencePart(OpenPart):
    """The numbers that a verdict is decided on. Gains are percentage points; p-values are one-sided."""

    pairs: int
    seeds: list[int]
    gains: list[float]
    baseline_chosen: str | None = Field(
        description="the level that was chosen for the baseline by validation; null: the grid has no `choose`"
    )
    treatment_chosen: str | None
    baseline_mean: float | None
    treatment_mean: float | None
    gain: float | None
    sd: float | None
    low: float | None = Field(description="the 95 % interval of the paired t-test")
    high: float | None
    rule: str
    rule_low: float | None = Field(description="the 95 % interval of the claim's rule")
    rule_high: float | None
    p: float | None
    p_adjusted: float | None
    p_equivalent: float | None
    baseline_last_tenth: float | None = Field(
        description="by how many points the last tenth of training changes the baseline's top-1; null: not known"
    )
    treatment_last_tenth: float | None
    environments: list[str]


class VerdictPart(OpenPart):
    """What the runs say about one claim."""

    format: Literal["lape/verify/1"] = "lape/verify/1"
    word: Word
    provisional: bool = Field(description="the word is from fewer pairs than were fixed")
    smaller_than_claimed: bool
    together: dict[str, Any] | None = Field(description="what the claims of its table say together")
    sentence: str
    cell: str
    recipe: str
    caveats: list[str]
    claim: ClaimPart
    evidence: EvidencePart | None = Field(description="null: there is no pair")


class VerdictsAnswer(RootModel[list[VerdictPart]]):
    """The verdicts on a grid's claims. The exit code is 1 if the word of any is "contradicted"."""


class ValuePart(OpenPart):
    """A published value."""

    id: str
    paper: str
    version: str
    table: str
    row: str
    column: str
    metric: str
    printed: str = Field(description="its digits as printed")


class StaticVerdictPart(OpenPart):
    """A printed count, and that of the suite's model."""

    format: Literal["lape/verify-static/1"] = "lape/verify-static/1"
    word: Literal["confirmed", "contradicted", "not_tested"]
    count: int | None
    computed: str = Field(description="the count in the unit and with the digits of the printed one")
    reason: str
    difference: int | None
    value: ValuePart


class StaticVerdictsAnswer(RootModel[list[StaticVerdictPart]]):
    """The verdicts on printed counts of parameters and MACs."""


def verdicts_answer(verdicts: Sequence[Verdict]) -> VerdictsAnswer:
    """The answer for these verdicts: what `verdicts.json` has, under a format."""
    found = json.loads(to_json(verdicts, by_claim(verdicts)))
    return VerdictsAnswer.model_validate([{"format": "lape/verify/1", **one} for one in found])

"""What stands in a claim file, as pydantic models. The keys of values and claims are checked with what the top adds."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from suite.verdict.claims.published import GRADES, Axis, Grade, Model


class Sides(Model):
    """The two values that a claim is about, and the axes that they differ in, if these are several."""

    baseline: str = Field(description="the id of a value")
    treatment: str = Field(description="the id of a value")
    differ: list[Axis] | None = Field(default=None, min_length=2, description="the axes, if there are several")


class Rule(Model):
    """How the claims of a file are tested, where they don't say otherwise; fixed before any run."""

    alpha: float | None = Field(default=None, description="of the one-sided test, for the whole family")
    margin_share: str | None = Field(
        default=None,
        pattern=r"^0\.\d{1,4}$",
        description='δ as a part of the claimed gain, in quotes: "0.5"',
    )
    side: Literal["greater"] | None = Field(default=None, description="the direction of the claims")
    min_pairs: int | None = Field(default=None, description="fewer pairs than this leave a claim untested")
    max_pairs: int | None = Field(default=None, description="the largest number of pairs, fixed before any run")
    sequential: Literal["e_process"] | None = Field(default=None, description="a rule without a largest number")
    family: str | None = Field(default=None, description="the claims that share α; all of the file unless named")
    family_size: int | None = Field(default=None, description="how many claims share α, if more than the file's own")
    failed_pairs: Literal["stop", "worst_case"] | None = Field(
        default=None, description="what a failed pair does to claims that are judged after each pair"
    )

    @model_validator(mode="after")
    def _one_rule(self) -> Self:
        if self.max_pairs is not None and self.sequential is not None:
            raise ValueError("max_pairs or sequential, and not both: they are two rules")
        return self


class ClaimFile(Model):
    """What stands in a claim file. What stands at the top holds for all values and claims that don't say otherwise."""

    paper: str | None = Field(default=None, description="the paper's name")
    version: str | None = Field(default=None, description="which version of the paper")
    table: str | None = Field(default=None, description="the table's number in quotes, or where else")
    title: str = Field(default="", description="the table's title, for people")
    evidence: Grade | None = Field(default=None, description=f"one of {', '.join(GRADES)}")
    metric: str | None = Field(default=None, description="what is measured, such as top1_best_epoch")
    epochs: int | None = Field(default=None, description="length of the paper's training runs")
    runs: int | None = Field(default=None, description="runs that each value is a mean of; left out if unknown")
    cell: dict[str, str] = Field(default={}, description="levels that all values share")
    not_runnable: str = Field(default="", description="why the suite can't measure any of it")
    refer_to: list[str] = Field(default=[], description="other claim files whose values are named, beside this file")
    test: Rule = Field(default=Rule(), description="how the claims are tested")
    values: list[dict[str, Any]] = Field(default=[], description="a list of published values")
    claims: list[dict[str, Any]] = Field(default=[], description="a list of claims")
    stated: list[dict[str, Any]] = Field(default=[], description="a list of what the paper states about the values")

    @model_validator(mode="after")
    def _holds_something(self) -> Self:
        if not (self.values or self.claims or self.stated):
            raise ValueError("at least one value, claim or statement")
        return self

"""Claims: published gains, with what is fixed about the test before any run.

A claim file is YAML: the values of a table as they are printed, claims on pairs of them, and what the paper
states about them elsewhere. Grids name the files whose claims they test. The margin, α and the least number
of pairs stand in the file, so that they are chosen before the runs are seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from suite.errors import nearest
from suite.grid.budget import Budget
from suite.grid.settings import SETTINGS, level_text, reduced_names, setting_value
from suite.grid.trial import Trial
from suite.plain_errors import RefusedValueError
from suite.store.record import AXIS_FIELDS
from suite.text import points
from suite.verdict.claims.published import Grade, Id, MetricName, Model, table_name
from suite.verdict.metrics import METRICS, TESTED, Reference, metric_of

# Published means are rounded, most of them to two decimals; a gain may differ from their difference by this much.
_ROUNDING = 0.0101
LevelOf = Callable[[str], str]
_SIZES = tuple(name for name, setting in SETTINGS.items() if not setting.of_recipe)


class ClaimedContrast(Model):
    """Which cells a claim compares. `match` may leave axes open: each contrast that matches is then judged."""

    axis: str = Field(description="the axis that differs, or a setting such as recipe.epochs")
    baseline: str = Field(min_length=1, description="the level to beat")
    treatment: str = Field(min_length=1, description="the level that is claimed to be better")
    match: dict[str, str] = Field(min_length=1, description="the cell's other axes, recipe and settings, a level each")
    tied: list[str] = Field(default=[], description="of a setting: those that differ with it, as a grid's zip has them")

    @model_validator(mode="before")
    @classmethod
    def _texts(cls, values: Any) -> Any:
        """The values of settings as text: in YAML they are numbers."""
        if not isinstance(values, dict):
            return values
        sides = [key for key in ("baseline", "treatment") if key in values] if "." in str(values.get("axis")) else []
        texts: dict[str, Any] = {key: level_text(values[key]) for key in sides}
        match = values.get("match")
        if isinstance(match, dict):
            texts["match"] = {name: level_text(level) if "." in str(name) else level for name, level in match.items()}
        return {**values, **texts}

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.axis not in (*AXIS_FIELDS, *SETTINGS):
            fix = nearest(self.axis, (*AXIS_FIELDS, *SETTINGS))
            raise RefusedValueError(expected="an axis or a setting", found=repr(self.axis), fix=fix)
        if self.baseline == self.treatment:
            raise ValueError(f"a baseline and a treatment that differ, not {self.baseline!r} twice")
        if self.tied and self.axis not in SETTINGS:
            raise ValueError(f"tied only with a setting as the axis, not with {self.axis}")
        for name in self.tied:
            if name not in SETTINGS or name == self.axis:
                fix = nearest(name, [one for one in SETTINGS if one != self.axis])
                raise RefusedValueError(expected="another setting", found=f"tied {name!r}", fix=fix)
        axes = [name for name in (*AXIS_FIELDS, "recipe", *SETTINGS) if name not in (self.axis, *self.tied)]
        for name in self.match:
            if name not in axes:
                fix = nearest(name, axes)
                raise RefusedValueError(expected="another axis or setting", found=f"match {name!r}", fix=fix)
        return self

    def has_both_sides(self, cells: Iterable[LevelOf]) -> bool:
        """Whether two of the cells are a baseline and a treatment that match. cells: as `side` takes them."""
        others: dict[str, set[tuple[str, ...]]] = {self.baseline: set(), self.treatment: set()}
        for cell in cells:
            if (found := self.side(cell)) is not None:
                others[found[0]].add(found[1])
        return bool(others[self.baseline] & others[self.treatment])

    def side(self, level: LevelOf) -> tuple[str, tuple[str, ...]] | None:
        """Which side a cell is, and its levels that the other side must share; None if it is neither.

        level: the cell's level on an axis or a setting, or its recipe's name; see `level_of`.
        """
        own = level(self.axis)
        if own not in (self.baseline, self.treatment) or not self.matches(level):
            return None
        rest = {name: level(name) for name in (*AXIS_FIELDS, "recipe") if name != self.axis}
        if self.axis in SETTINGS:
            varied = {name: level(name) for name in (self.axis, *self.tied)}
            rest["recipe"], rest["arch"] = reduced_names(varied, varied, rest["recipe"], rest["arch"])
        return own, tuple(rest.values())

    def matches(self, level: LevelOf) -> bool:
        """Whether a cell has all levels of `match`. level: the cell's level on an axis or a setting, or its recipe.

        An architecture goes by its name without the sizes that axes add to it, too. So does a recipe without the
        settings that `match` names.
        """
        for name, wanted in self.match.items():
            names = {"arch": _SIZES, "recipe": [one for one in self.match if one in SETTINGS]}.get(name, ())
            found = level(name)
            if found != wanted and (not names or "+" not in found or self._reduced(name, names, level) != wanted):
                return False
        return True

    @staticmethod
    def _reduced(name: str, names: Sequence[str], level: Callable[[str], str]) -> str:
        levels = {one: level(one) for one in names}
        recipe, arch = reduced_names(names, levels, *(level(name) if name == one else "" for one in ("recipe", "arch")))
        return recipe if name == "recipe" else arch


class Claim(Model):
    """A published gain, where it stands, and how it is tested. Accuracies in percent, gains in points."""

    id: Id
    paper: str = Field(min_length=1, description="the paper's name")
    version: str = Field(min_length=1, description="which version of the paper; their numbers differ")
    table: str = Field(min_length=1, description="the table's number in quotes, or where else, such as 'abstract'")
    row: str = Field(min_length=1, description="the row, in the paper's own words")
    kind: Literal["published", "analogue", "own"] = Field(
        description="published: the paper's own data set and budget; analogue: its gain carried over to another; own: "
        "no paper's, about the runs at hand"
    )
    published_for: str = Field(default="", description="of an analogue: what the paper's number is for")
    evidence: Grade = Field(default="printed_table", description="how well the gain is documented")
    contrast: ClaimedContrast = Field(description="the two cells that are compared")
    metric: MetricName = "top1"
    reference: Reference | None = Field(default=None, description="of mce: whose errors are 100 %")
    epoch: int | None = Field(default=None, ge=1, description="the epoch of the accuracies, unless it is the last")
    claimed_gain: float = Field(gt=0, le=100, description="percentage points")
    any_size: bool = Field(
        default=False,
        description="an own claim of a gain of any size: claimed_gain is the least that the test set shows",
    )
    claimed_baseline: float | None = Field(default=None, ge=0, le=100, description="percent")
    claimed_treatment: float | None = Field(default=None, ge=0, le=100, description="percent")
    # Below 1e-4 no number of pairs that anybody runs has the power, and the search for one doesn't converge.
    alpha: float = Field(
        default=0.05,
        ge=1e-4,
        lt=0.5,
        description="of the one-sided test, for its whole family; a claim file must say it, here or in test:",
    )
    margin: float = Field(gt=0, description="δ: how far from the claimed gain still counts as equal, in points")
    side: Literal["greater"] = Field(default="greater", description="the direction of the claim")
    min_pairs: int = Field(default=3, ge=2, le=1000, description="fewer pairs than this leave the claim untested")
    max_pairs: int | None = Field(
        default=None,
        ge=3,
        le=100,
        description="the largest number of pairs; the claim may be judged after each of them",
    )
    sequential: Literal["e_process"] | None = Field(
        default=None, description="e_process: judged after each pair, without a largest number of pairs"
    )
    family: str = Field(default="", description="the claims of its file that share α with it; all of them unless named")
    family_size: int | None = Field(
        default=None, ge=1, le=1000, description="how many claims share α; of a file, its testable claims unless larger"
    )
    failed_pairs: Literal["stop", "worst_case"] = Field(
        default="stop", description="what a failed pair does to a claim that is judged after each pair"
    )
    published_runs: int | None = Field(default=None, ge=1, description="over how many runs the paper's means are")
    rounding: float = Field(default=0.0, ge=0, description="how far the claimed gain may be off by printed rounding")
    not_runnable: str = Field(default="", description="why the suite can't test it")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        # With so wide a margin no gain at all, or a loss, would count as equal to the claimed gain: "confirmed" would
        # then say no more than "direction only", and no result could contradict the claim but a significant loss.
        if self.margin >= self.claimed_gain:
            raise ValueError(f"a margin ({self.margin:g}) below the claimed gain ({self.claimed_gain:g})")
        if self.claimed_baseline is not None and self.claimed_treatment is not None:
            lower = METRICS[self.metric].better == "lower"
            difference = METRICS[self.metric].sign * (self.claimed_treatment - self.claimed_baseline)
            if abs(difference - self.claimed_gain) > _ROUNDING:
                sides = "claimed_baseline − claimed_treatment" if lower else "claimed_treatment − claimed_baseline"
                raise ValueError(f"a claimed_gain ({self.claimed_gain:+g}) that is {sides} ({difference:+g})")
        if self.kind == "analogue" and not self.published_for:
            raise ValueError("published_for in an analogue claim: what the paper's own number is for")
        if self.any_size and self.kind != "own":
            raise ValueError("any_size in an own claim only: a paper claims a gain of some size")
        if self.max_pairs is not None and self.sequential is not None:
            raise ValueError("max_pairs or sequential, and not both: they are two rules")
        if self.max_pairs is not None and self.max_pairs < self.min_pairs:
            raise ValueError(f"max_pairs of at least min_pairs ({self.min_pairs}), not {self.max_pairs}")
        if self.metric not in TESTED and not self.not_runnable:
            raise ValueError(f"{' or '.join(TESTED)} as the metric, or else not_runnable: why it can't be tested")
        return self

    @model_validator(mode="after")
    def _measurable(self) -> Self:
        if (self.metric == "mce") != (self.reference is not None) and not self.not_runnable:
            raise ValueError(
                "a reference, whose errors are 100 %, with metric: mce alone; metric: corruption_error does without one"
            )
        if self.epoch is not None and METRICS[self.metric].missing:
            raise ValueError(f"no epoch with metric: {self.metric}: it is of the last one")
        return self

    @model_serializer(mode="wrap")
    def _present(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """All values, but no `reference` of claims without one: what was written before it existed stays the same."""
        values: dict[str, Any] = whole(self)
        return {key: value for key, value in values.items() if key != "reference" or value is not None}

    @property
    def claimed_text(self) -> str:
        """What is claimed, for a sentence."""
        return "any gain" if self.any_size else f"{points(self.claimed_gain)}{metric_of(self.metric).note}"

    @property
    def title(self) -> str:
        """Where the claim stands, in one line; an analogue says so."""
        if self.kind == "own":
            return f"{self.paper}: {self.row}"
        analogue = "analogue of " if self.kind == "analogue" else ""
        return f"{analogue}{self.paper} ({self.version}), {table_name(self.table)}, {self.row}"

    @property
    def is_here(self) -> bool:
        """Whether its words are about the runs at hand alone, and not about a paper's experiment."""
        return self.kind != "published"

    @property
    def rule(self) -> Literal["fixed", "max_pairs", "e_process"]:
        """By which rule its gains are tested; see `suite.verdict.rules`."""
        if self.max_pairs is not None:
            return "max_pairs"
        return self.sequential or "fixed"

    @property
    def obstacle(self) -> str:
        """Why no runs of the suite can test the claim; empty if they can."""
        if self.not_runnable or self.margin >= self.rounding:
            return self.not_runnable
        return (
            f"its margin of {self.margin:g} {metric_of(self.metric).unit} is below the rounding of the printed "
            f"numbers, {self.rounding:g}: whatever is observed, the gain that was meant may be another"
        )


def untested(claims: Iterable[Claim], trials: Iterable[Trial]) -> list[Claim]:
    """The claims that no two cells of a grid stand for: its runs will leave them untested."""
    claims = list(claims)
    cells = {trial.cell_id: level_of(trial) for trial in trials}
    return [claim for claim in claims if claim.obstacle or not claim.contrast.has_both_sides(cells.values())]


def level_of(trial: Trial) -> LevelOf:
    """Gives a trial's level on an axis or a setting, or its recipe's name."""
    levels = {**trial.levels, "recipe": trial.recipe_name}

    def level(name: str) -> str:
        if name in SETTINGS:
            return level_text(setting_value(SETTINGS[name], *trial.settings))
        return levels[name]

    return level


def carried_over(claim: Claim, budget: Budget | None) -> Claim:
    """The claim as a grid of this budget tests it: as an analogue, of the cells that stand for the published ones."""
    if budget is None or claim.is_here:
        return claim
    asked = claim.contrast
    reason = f"another budget has no epoch {claim.epoch}" if claim.epoch is not None else ""
    cells = {
        "baseline": budget.here(asked.axis, asked.baseline),
        "treatment": budget.here(asked.axis, asked.treatment),
        "match": {name: budget.here(name, level) for name, level in asked.match.items()},
    }
    return claim.model_copy(
        update={
            "kind": "analogue",
            "published_for": f"{claim.row}, at the paper's budget, not this one: {budget.note}",
            "contrast": asked.model_copy(update=cells),
            "not_runnable": claim.not_runnable or reason,
        }
    )

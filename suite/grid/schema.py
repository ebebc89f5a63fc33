"""The schema of a grid file, as pydantic models. Unknown keys are forbidden, and types are strict."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, create_model, model_validator

from suite.data.tasks import TASKS, TaskName
from suite.grid.axes import AXES
from suite.grid.budget import Budget
from suite.grid.settings import SETTINGS

MOST_SEEDS = 1000  # far more than any paper uses; a mistyped number would otherwise take minutes to expand
MOST_RULES = 1000  # the most entries of `exclude` and of `expect`
MOST_TRIALS = 100_000  # the most trials of a grid, counted before the product of its axes is built


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _based(value: Any) -> Any:
    return {"base": value} if isinstance(value, str) else value


def _values_listed(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


def _zips_listed(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


def _each_once(levels: list[Any]) -> list[Any]:
    for place, level in enumerate(levels):
        if level in levels[:place]:
            raise ValueError(f"each level once, not {level!r} twice")
    return levels


def _described(task: TaskName) -> str:
    return f"{task} (each image has {TASKS[task].data}; tables have {TASKS[task].metric})"


# A name appears in tables, in messages and on the command line, so it must not contain spaces or line breaks.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$", max_length=100)]
Levels = Annotated[list[str], BeforeValidator(_listed), Field(min_length=1), AfterValidator(_each_once)]
# The levels of a setting: the recipe or the architecture checks them, in the cells that have them.
Values = Annotated[list[Any], BeforeValidator(_values_listed), Field(min_length=1), AfterValidator(_each_once)]
RecipeValues = Annotated[dict[str, Any], BeforeValidator(_based)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


if TYPE_CHECKING:

    class Tied(_Model):
        """Settings whose levels are taken together: the first of each, the second of each, and so on."""

else:
    Tied = create_model("Tied", __base__=_Model, **dict.fromkeys(SETTINGS, (Values, None)))


class _Axes(_Model):
    zip: Annotated[list[Tied], BeforeValidator(_zips_listed)] = Field(
        default=[], description="settings whose levels are taken together, as many of each"
    )

    @property
    def settings(self) -> dict[str, list[Any]]:
        """The settings that are axes of their own, with their levels."""
        return named_settings(self)

    @property
    def tied(self) -> list[dict[str, list[Any]]]:
        """The groups of settings that are taken together, with their levels."""
        return [named_settings(tied) for tied in self.zip]

    @model_validator(mode="after")
    def _whole_zips(self) -> Self:
        seen = list(self.settings)
        for tied in self.tied:
            lengths = {name: len(levels) for name, levels in tied.items()}
            if len(lengths) < 2:
                raise ValueError(f"zip: two settings or more, not {' and '.join(lengths) or 'none'}")
            if len(set(lengths.values())) > 1:
                told = ", ".join(f"{name} has {number}" for name, number in lengths.items())
                raise ValueError(f"zip: as many levels of each setting; {told}")
            seen += lengths
        if twice := [name for name in dict.fromkeys(seen) if seen.count(name) > 1]:
            raise ValueError(f"zip: each setting once, not {' and '.join(twice)} twice")
        return self


def named_settings(part: BaseModel) -> dict[str, Any]:
    """The settings that a part of a grid file names, with what it says of them; in the order of `SETTINGS`."""
    return {name: getattr(part, name) for name in SETTINGS if name in part.model_fields_set}


if TYPE_CHECKING:

    class Axes(_Axes):
        """The levels of each axis. Their product gives the cells."""

        def __getattr__(self, axis: str) -> list[str]: ...

    class When(_Model):
        """Levels that a cell must have, on some of the axes; several levels on one axis are alternatives."""

        def __getattr__(self, axis: str) -> list[str] | None: ...

    class Cell(_Model):
        """One cell to add to the product. An axis with a single level in the block may be left out."""

        def __getattr__(self, axis: str) -> str | None: ...

else:  # a field for each axis
    Axes = create_model(
        "Axes",
        __base__=_Axes,
        **{
            axis.name: Annotated[Levels, Field(description=f"a list of {axis.described}")]
            if axis.usual is None
            else (Levels, Field(default=[axis.usual], description=f"a list of {axis.described}"))
            for axis in AXES.values()
        },
        **{
            name: (Values, Field(default=None, description=setting.description or "a list of values"))
            for name, setting in SETTINGS.items()
        },
    )
    _LEVELS = dict.fromkeys(AXES, (Levels | None, None)) | dict.fromkeys(SETTINGS, (Values, None))
    _LEVEL = dict.fromkeys(AXES, (str | None, None)) | dict.fromkeys(SETTINGS, (Any, None))
    When = create_model("When", __base__=_Model, **_LEVELS)
    Cell = create_model("Cell", __base__=_Model, **_LEVEL)


class Exclude(_Model):
    """A rule that leaves cells out of the product, with its reason."""

    when: When = Field(description="the levels of the cells to leave out")
    reason: str = Field(min_length=1, description="why, for the reader of the results")


class Block(_Model):
    """A product of axes, without the cells of `exclude`, plus the cells of `include`. It may have its own recipe."""

    axes: Axes = Field(description="the levels of each axis")
    exclude: list[Exclude] = Field(
        default=[], max_length=MOST_RULES, description="rules: cells to leave out, with the reason"
    )
    include: list[Cell] = Field(default=[], description="cells to add")
    recipe: RecipeValues | None = Field(default=None, description="a recipe's name, or its values")


def is_claim_file(keys: Collection[str]) -> bool:
    """Return whether a file with these top-level keys is a claim file, and not a grid that names claim files."""
    return not {"values", "claims", "stated"}.isdisjoint(keys) and {"name", "axes", "blocks", "seeds"}.isdisjoint(keys)


class Expected(_Model):
    """The expected accuracy or duration of the cells that `when` selects, by default of all."""

    when: When = Field(default=When(), description="the levels of the cells")
    top1: float | None = Field(default=None, ge=0, le=100, description="percent")
    hours: float | None = Field(default=None, gt=0, description="of one trial, on that hardware")
    hardware: str = Field(default="", description="that the hours were measured on")
    source: str = Field(min_length=1, description="where these numbers come from")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.top1 is None and self.hours is None:
            raise ValueError("top1 or hours")
        if (self.hours is None) != (not self.hardware):
            raise ValueError("hours and hardware together")
        return self


class Interactions(_Model):
    """How effects of combined methods are tested. Like a claim's margin, this is fixed before any run."""

    margin: float = Field(default=0.5, gt=0, le=100, description="points: gains within it of their sum add up")
    alpha: float = Field(default=0.05, gt=0, lt=0.5, description="the level of the tests")


class Choose(_Model):
    """A search: each side is judged at the level that is best for it on the validation images."""

    axis: str = Field(description="the setting that is searched, such as recipe.lr")
    seeds: list[Annotated[int, Field(ge=0, lt=2**62)]] = Field(
        min_length=1, max_length=MOST_SEEDS, description="the search's own seed indices; the grid's seeds are others"
    )
    epoch: Literal["last", "best"] = Field(
        default="last", description="whose accuracy counts: the last epoch's, or that of the best one on validation"
    )


class GridFile(_Model):
    """The values of a grid file."""

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=100, description="lower-case letters, digits, '_' and '-'"
    )
    description: str = Field(default="", description="a sentence or two for the report")
    task: TaskName = Field(
        default="classification", description="what the models do: " + "; ".join(map(_described, TASKS))
    )
    seed: int = Field(default=0, ge=0, lt=2**63, description="the grid's own seed, mixed into every other")
    seeds: list[Annotated[int, Field(ge=0, lt=2**62)]] = Field(
        min_length=1, max_length=MOST_SEEDS, description="the seed indices: one trial each per cell"
    )
    stack_seeds: int = Field(
        default=1, ge=1, le=64, description="at most so many seeds of a cell trained at once, where that is faster"
    )
    choose: Choose | None = Field(
        default=None, description="choose a level by validation for each side: {axis: recipe.lr, seeds: [...]}"
    )
    recipe: RecipeValues | None = Field(default=None, description="a recipe's name, or its values")
    architectures: dict[Name, dict[str, Any]] = Field(
        default={}, description="names of this grid's own for sizes: {family: …, embed_dim: …, …}"
    )
    datasets: dict[str, dict[str, Any]] = Field(
        default={}, description="data sets that are not built in, as `lape data prepare` prints them"
    )
    impossible: Literal["error", "drop"] = Field(
        default="error", description="what to do with cells that can't be built: refuse the grid, or drop them"
    )
    axes: Axes | None = Field(default=None, description="the levels of each axis")
    exclude: list[Exclude] = Field(
        default=[], max_length=MOST_RULES, description="rules: cells to leave out, with the reason"
    )
    include: list[Cell] = Field(default=[], description="cells to add")
    blocks: list[Block] = Field(default=[], description="several products, in place of axes, exclude and include")
    claims: list[str] = Field(default=[], description="claim files to judge, relative to this file")
    not_runnable: str = Field(
        default="", description="why the suite can't train any of it, in a grid that only reports its claims"
    )
    budget: Budget | None = Field(
        default=None, description="in what this grid is smaller than the published training: its claims are analogues"
    )
    interactions: Interactions = Field(
        default=Interactions(), description="how effects of combined methods are tested: margin and alpha"
    )
    reach: list[Annotated[float, Field(gt=0, le=100)]] = Field(
        default=[], max_length=10, description="accuracies in percent: tables then say how many epochs each side takes"
    )
    expect: list[Expected] = Field(
        default=[], max_length=MOST_RULES, description="what its trials should come to, and what they cost"
    )

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if self.not_runnable:
            if self.axes is not None or self.blocks:
                raise ValueError("no axes and no blocks in a grid that is not_runnable")
            return self
        if (self.axes is None) == (not self.blocks):
            raise ValueError("either axes (with exclude and include) or a list of blocks, and not both")
        if self.blocks and (self.exclude or self.include):
            raise ValueError("exclude and include inside the blocks they belong to, when there are blocks")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"each seed index once, not {self.seeds}")
        if self.choose is not None:
            if len(set(self.choose.seeds)) < len(self.choose.seeds):
                raise ValueError(f"choose: each search seed once, not {self.choose.seeds}")
            if both := sorted({*self.seeds} & {*self.choose.seeds}):
                told = ", ".join(map(str, both))
                raise ValueError(f"choose: search seeds that are none of the grid's seeds; both have {told}")
        return self

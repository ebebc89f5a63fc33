"""Published numbers as papers print them: the values in tables, and statements about these values.

A value keeps its printed digits as text ("80.00", not 80.0), because they show how far it was rounded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, create_model, model_validator

from suite.data.datasets import DATASETS
from suite.errors import nearest
from suite.grid.axes import AXES, GRID_ORDER, unknown_level
from suite.models.model_cell import Shape
from suite.plain_errors import RefusedValueError
from suite.store.record import AXIS_FIELDS
from suite.verdict.metrics import METRICS

if TYPE_CHECKING:
    Axis = str
else:
    Axis = Literal[GRID_ORDER]
Id = Annotated[
    str,
    Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$", max_length=100, description="lower-case letters, digits, '_', '.', '-'"),
]
Digits = Annotated[
    str, Field(pattern=r"^\d{1,9}(\.\d{1,9})?$", description='the digits as printed, in quotes: "80.00"')
]
SignedDigits = Annotated[
    str, Field(pattern=r"^[+-]?\d{1,9}(\.\d{1,9})?$", description='the digits as printed, in quotes: "+0.08"')
]

# The sources of a number, from the most to the least reliable.
Grade = Literal["printed_table", "abstract", "released_readme", "citing_paper", "published_summary", "second_hand"]
GRADES: Mapping[Grade, str] = {
    "printed_table": "a table of the paper itself",
    "abstract": "the paper's abstract",
    "released_readme": "the README of the authors' released code",
    "citing_paper": "a table of another paper, which cites it",
    "published_summary": "somebody's published summary of the paper",
    "second_hand": "a summary of unknown origin; nothing confirms it",
}

# For each data set, the number of classes, the image size and the channels that its models are built for.
SHAPES: Mapping[str, Shape] = {
    name: Shape(data.num_classes, data.image_size, data.channels) for name, data in DATASETS.items()
}


def _known_metric(name: str) -> str:
    if name not in METRICS:
        raise RefusedValueError(expected="a known metric", found=repr(name), fix=nearest(name, METRICS))
    return name


MetricName = Annotated[str, AfterValidator(_known_metric), Field(description=f"one of {', '.join(METRICS)}")]


class Model(BaseModel):
    """The base class of all parts of a claim file. Unknown keys and wrong types are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


@dataclass(frozen=True)
class Interval:
    """A rounded number: the printed value, and the smallest and largest unrounded value that it may have had."""

    printed: Fraction
    low: Fraction
    high: Fraction

    @classmethod
    def of(cls, digits: str) -> Interval:
        """The interval of all numbers that round to the digits. It includes both ties, which may round either way."""
        half = Fraction(1, 2 * 10 ** decimals(digits))
        return cls(Fraction(digits), Fraction(digits) - half, Fraction(digits) + half)

    def holds(self, number: Fraction) -> bool:
        """Whether the number rounds to what is printed."""
        return self.low <= number <= self.high

    def truncates(self, number: Fraction) -> bool:
        """Whether the number has these digits if those behind them are cut off."""
        return self.printed <= number < self.printed + (self.high - self.low)

    def overlaps(self, other: Interval) -> bool:
        """Whether both may be the same unrounded number. Intervals that only share an end point don't overlap."""
        return self.low < other.high and other.low < self.high


def decimals(digits: str) -> int:
    """The number of digits after the decimal point."""
    return len(digits.partition(".")[2])


class _Levels(Model):
    """The base class of `Cell`.

    `other` describes what else distinguishes the value from its neighbours, if no axis of the suite covers it.
    """

    other: str = ""

    @property
    def levels(self) -> dict[str, str]:
        """The level of each axis on which the cell has one."""
        return {axis: level for axis in AXIS_FIELDS if (level := getattr(self, axis))}


if TYPE_CHECKING:

    class Cell(_Levels):
        """The level of a value on each axis."""

        def __getattr__(self, axis: str) -> str: ...

else:  # a field for each axis; architecture and data set are required
    Cell = create_model(
        "Cell",
        __base__=_Levels,
        **{
            axis: (str, Field(default=... if AXES[axis].declared_as else AXES[axis].usual or "")) for axis in GRID_ORDER
        },
    )


class Value(Model):
    """A value of a published table: its place, its cell and its printed digits. Values keep the file's order.

    `group`, `row` and `column` are the block of rows, the row and the column, in the paper's words. `epochs` is the
    length of the training run. `epoch` is the epoch that the value was measured after, if it is neither the last nor
    the best one. `runs` is the number of runs that the value is a mean of; None if the paper doesn't state it.
    """

    id: Id
    paper: str = Field(min_length=1, description="the paper's name")
    version: str = Field(min_length=1, description="which version of the paper; their numbers differ")
    table: str = Field(min_length=1, description="the table's number in quotes, or where else, such as 'abstract'")
    group: str = Field(default="", description="the block of rows, in the paper's words")
    row: str = Field(min_length=1, description="the row, in the paper's words")
    column: str = Field(min_length=1, description="the column, in the paper's words")
    cell: Cell = Field(description="its level on each axis, and `other` for what is no axis")
    metric: MetricName
    epochs: int | None = Field(default=None, ge=1, description="length of the training run")
    epoch: int | None = Field(default=None, ge=1, description="measured after this epoch, not the last or the best")
    runs: int | None = Field(default=None, ge=1, description="runs that it is a mean of; left out if unknown")
    printed: Digits
    evidence: Grade = Field(description="how well it is documented")
    not_runnable: str = Field(default="", description="why the suite can't measure it")
    note: str = Field(default="", description="for the reader of the file")

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        most = METRICS[self.metric].most
        if self.number > most:
            raise ValueError(f"{METRICS[self.metric].summary}, {most:g} at most, not {self.printed}")
        if self.epoch is not None and (self.epochs is None or self.epoch > self.epochs):
            raise ValueError(f"epochs of at least epoch ({self.epoch}), not {self.epochs}")
        return self

    @property
    def number(self) -> float:
        """The printed value."""
        return float(self.printed)

    @property
    def interval(self) -> Interval:
        """The values that the number may have had before it was rounded."""
        return Interval.of(self.printed)

    @property
    def place(self) -> str:
        """Table, group, row and column, on one line."""
        return f"{table_name(self.table)}, {self.label}"

    @property
    def label(self) -> str:
        """Group, row and column, on one line."""
        return ", ".join(part for part in (self.group, self.row, self.column) if part)

    def identity(self) -> tuple[object, ...]:
        """The key of a value: two values with the same key must agree."""
        return self.paper, self.version, *self.cell.model_dump().values(), self.metric, self.epochs, self.epoch

    def unknown_levels(self) -> Iterator[tuple[str, str, str]]:
        """The levels of the cell that the suite doesn't have, as (axis, level, advice)."""
        for axis in AXIS_FIELDS:
            level = getattr(self.cell, axis)
            if advice := unknown_level(axis, level):
                yield axis, level, advice


def gain_label(baseline: Value, treatment: Value) -> str:
    """The place of a gain: the treatment's group, row and column, and the row that it is compared with."""
    rows = f"{treatment.row} over {baseline.row}"
    return ", ".join(part for part in (treatment.group, rows, treatment.column) if part)


def table_name(table: str) -> str:
    """The table's name: "Table 7" for the number "7". Other places, such as "abstract", keep their name."""
    return f"Table {table}" if table[0].isdigit() else table


class Statement(Model):
    """A statement of a paper about its own values. The suite recomputes it from these values.

    `quantity` is "difference" (treatment − baseline), "percent" (the difference relative to the baseline), "value"
    (a value that is repeated in another place) or "epochs" (the length of a value's training run). `up_to` is the
    upper end of a stated range.
    """

    id: Id
    where: str = Field(min_length=1, description="where it is stated: a table, the text, the abstract")
    quantity: Literal["difference", "percent", "value", "epochs"] = Field(description="what is recomputed")
    printed: SignedDigits
    up_to: SignedDigits | None = Field(default=None, description="the upper end, if a range is stated")
    baseline: str = Field(default="", description="the id of a value")
    treatment: str = Field(default="", description="the id of a value")
    of: str = Field(default="", description="the id of a value")
    about: str = Field(default="", description="what it is about, where no value is at hand to recompute it from")
    note: str = Field(default="", description="for the reader of the file")

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        named = {name for name in ("baseline", "treatment", "of") if getattr(self, name)}
        wanted = {"baseline", "treatment"} if self.quantity in ("difference", "percent") else {"of"}
        if named != wanted and not (self.about and not named):
            raise ValueError(f"{' and '.join(sorted(wanted))} with a {self.quantity}, or else what it is about")
        return self

    @property
    def references(self) -> dict[str, str]:
        """The keys of the statement that refer to values, with the values' ids."""
        return {key: name for key in ("baseline", "treatment", "of") if (name := getattr(self, key))}

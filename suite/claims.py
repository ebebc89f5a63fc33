"""Claims: published gains, with what is fixed about the test before any run.

A claim file is YAML with one key, `claims`. Grids name the files whose claims they test. The margin, α
and the least number of pairs stand in the file, so that they are chosen before the runs are seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from suite.documents import read_document
from suite.errors import InputError, nearest
from suite.models.joins import JOINS
from suite.models.norms import NORMS
from suite.models.positions import POSITIONS
from suite.record import AXIS_FIELDS
from suite.training.losses import LOSSES
from suite.trial import Trial

# Published means are rounded, most of them to two decimals; a gain may differ from their difference by this much.
_ROUNDING = 0.0101

# The axes whose levels can be checked here; architectures and data sets may be a grid's own.
_KNOWN: Mapping[str, Mapping[str, object]] = {"pe": POSITIONS, "join": JOINS, "norm": NORMS, "loss": LOSSES}


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class ClaimedContrast(_Model):
    """Which cells a claim compares. `match` may leave axes open: each contrast that matches is then judged."""

    axis: Literal["arch", "pe", "join", "norm", "loss", "dataset"] = Field(description="the axis that differs")
    baseline: str = Field(description="the level to beat")
    treatment: str = Field(description="the level that is claimed to be better")
    match: dict[str, str] = Field(min_length=1, description="the cell's other axes (and recipe), a level each")

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.baseline == self.treatment:
            raise ValueError(f"a baseline and a treatment that differ, not {self.baseline!r} twice")
        axes = [name for name in (*AXIS_FIELDS, "recipe") if name != self.axis]
        for name in self.match:
            if name not in axes:
                raise ValueError(f"only axes to match, and not {name!r}: {nearest(name, axes)}")
        for axis, level in [(self.axis, self.baseline), (self.axis, self.treatment), *self.match.items()]:
            if axis in _KNOWN and level not in _KNOWN[axis]:
                raise ValueError(f"a known {axis}, not {level!r}: {nearest(level, _KNOWN[axis])}")
        return self

    def has_both_sides(self, cells: Iterable[Mapping[str, str]]) -> bool:
        """Whether two of the cells (levels, and the recipe's name) are a baseline and a treatment that match."""
        others: dict[str, set[tuple[str, ...]]] = {self.baseline: set(), self.treatment: set()}
        for cell in cells:
            if cell[self.axis] in others and all(cell[name] == level for name, level in self.match.items()):
                rest = {**cell, self.axis: ""}
                others[cell[self.axis]].add(tuple(rest[name] for name in (*AXIS_FIELDS, "recipe")))
        return bool(others[self.baseline] & others[self.treatment])


class Claim(_Model):
    """A published gain, where it stands, and how it is tested. Accuracies in percent, gains in points."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$", description="lower-case letters, digits, '_', '.' and '-'")
    paper: str = Field(min_length=1)
    version: str = Field(min_length=1, description="which version of the paper; their numbers differ")
    table: str = Field(min_length=1, description="the table's number, in quotes")
    row: str = Field(min_length=1, description="the row, in the paper's own words")
    kind: Literal["published", "analogue"] = Field(
        description="published: the paper's own data set and budget; analogue: its gain carried over to another"
    )
    published_for: str = Field(default="", description="of an analogue: what the paper's number is for")
    contrast: ClaimedContrast
    metric: Literal["top1", "top1_best_epoch"] = "top1"
    claimed_gain: float = Field(gt=0, le=100, description="percentage points")
    claimed_baseline: float | None = Field(default=None, ge=0, le=100, description="percent")
    claimed_treatment: float | None = Field(default=None, ge=0, le=100, description="percent")
    # Below 1e-4 no number of pairs that anybody runs has the power, and the search for one doesn't converge.
    alpha: float = Field(default=0.05, ge=1e-4, lt=0.5, description="of the one-sided test, after Holm's adjustment")
    margin: float = Field(gt=0, description="δ: how far from the claimed gain still counts as equal, in points")
    side: Literal["greater"] = Field(default="greater", description="the direction of the claim")
    min_pairs: int = Field(default=3, ge=2, le=1000, description="fewer pairs than this leave the claim untested")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        # With so wide a margin no gain at all, or a loss, would count as equal to the claimed gain: "confirmed" would
        # then say no more than "direction only", and no result could contradict the claim but a significant loss.
        if self.margin >= self.claimed_gain:
            raise ValueError(f"a margin ({self.margin:g}) below the claimed gain ({self.claimed_gain:g})")
        if self.claimed_baseline is not None and self.claimed_treatment is not None:
            difference = self.claimed_treatment - self.claimed_baseline
            if abs(difference - self.claimed_gain) > _ROUNDING:
                raise ValueError(
                    f"a claimed_gain ({self.claimed_gain:+g}) that is claimed_treatment − claimed_baseline "
                    f"({difference:+g})"
                )
        if self.kind == "analogue" and not self.published_for:
            raise ValueError("published_for in an analogue claim: what the paper's own number is for")
        return self

    @property
    def title(self) -> str:
        """Where the claim stands, in one line; an analogue says so."""
        analogue = "analogue of " if self.kind == "analogue" else ""
        return f"{analogue}{self.paper} ({self.version}), Table {self.table}, {self.row}"


class ClaimFile(_Model):
    """What stands in a claim file."""

    claims: list[Claim] = Field(min_length=1, description="a list of claims")


def load_claims(paths: Iterable[str | Path]) -> list[Claim]:
    """The claims of the files, in their order.

    Raises:
        InputError: a file is missing or wrong (with file and line), or an id stands twice.
    """
    claims: dict[str, Claim] = {}
    where: dict[str, str] = {}
    for path in dict.fromkeys(Path(path) for path in paths):
        document = read_document(path)
        for index, claim in enumerate(document.validate(ClaimFile).claims):
            place = document.where(("claims", index, "id"))
            if claim.id in claims:
                raise InputError(
                    f"the claim {claim.id!r} stands twice",
                    expected="each id once",
                    found=f"first in {where[claim.id]}",
                    where=place,
                    fix="give one of the two another id",
                )
            claims[claim.id], where[claim.id] = claim, place
    return list(claims.values())


def untested(claims: Iterable[Claim], trials: Iterable[Trial]) -> list[Claim]:
    """The claims that no two cells of a grid stand for: its runs will leave them untested."""
    cells = {trial.cell_id: {**trial.levels, "recipe": trial.recipe_name} for trial in trials}
    return [claim for claim in claims if not claim.contrast.has_both_sides(cells.values())]

"""Claims: published gains, with what is fixed about the test before any run.

A claim file is YAML: the values of a table as they are printed, claims on pairs of them, and what the paper
states about them elsewhere. Grids name the files whose claims they test. The margin, α and the least number
of pairs stand in the file, so that they are chosen before the runs are seen.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, Self, TypeGuard, TypeVar

from pydantic import Field, model_validator

from suite.claimfile import ClaimFile, Sides
from suite.errors import InputError, Problem, nearest
from suite.grid.axes import unknown_level
from suite.grid.budget import Budget
from suite.grid.documents import Document, Location, read_document
from suite.grid.trial import Trial
from suite.published import GRADES, TESTED, Axis, Grade, Id, MetricName, Model, Statement, Value, gain_label, table_name
from suite.store.record import AXIS_FIELDS

# Published means are rounded, most of them to two decimals; a gain may differ from their difference by this much.
_ROUNDING = 0.0101

# The axes whose levels can be checked in a claim; architectures and data sets may be a grid's own.
_CHECKED = ("pe", "join", "norm", "loss")

M = TypeVar("M", bound=Model)


class ClaimedContrast(Model):
    """Which cells a claim compares. `match` may leave axes open: each contrast that matches is then judged."""

    axis: Axis = Field(description="the axis that differs")
    baseline: str = Field(min_length=1, description="the level to beat")
    treatment: str = Field(min_length=1, description="the level that is claimed to be better")
    match: dict[str, str] = Field(min_length=1, description="the cell's other axes (and recipe), a level each")

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.baseline == self.treatment:
            raise ValueError(f"a baseline and a treatment that differ, not {self.baseline!r} twice")
        axes = [name for name in (*AXIS_FIELDS, "recipe") if name != self.axis]
        for name in self.match:
            if name not in axes:
                raise ValueError(f"only axes to match, and not {name!r}: {nearest(name, axes)}")
        return self

    def has_both_sides(self, cells: Iterable[Mapping[str, str]]) -> bool:
        """Whether two of the cells (levels, and the recipe's name) are a baseline and a treatment that match."""
        others: dict[str, set[tuple[str, ...]]] = {self.baseline: set(), self.treatment: set()}
        for cell in cells:
            if cell[self.axis] in others and all(cell[name] == level for name, level in self.match.items()):
                rest = {**cell, self.axis: ""}
                others[cell[self.axis]].add(tuple(rest[name] for name in (*AXIS_FIELDS, "recipe")))
        return bool(others[self.baseline] & others[self.treatment])


class Claim(Model):
    """A published gain, where it stands, and how it is tested. Accuracies in percent, gains in points."""

    id: Id
    paper: str = Field(min_length=1)
    version: str = Field(min_length=1, description="which version of the paper; their numbers differ")
    table: str = Field(min_length=1, description="the table's number in quotes, or where else, such as 'abstract'")
    row: str = Field(min_length=1, description="the row, in the paper's own words")
    kind: Literal["published", "analogue"] = Field(
        description="published: the paper's own data set and budget; analogue: its gain carried over to another"
    )
    published_for: str = Field(default="", description="of an analogue: what the paper's number is for")
    evidence: Grade = "printed_table"
    contrast: ClaimedContrast
    metric: MetricName = "top1"
    epoch: int | None = Field(default=None, ge=1, description="the epoch of the accuracies, unless it is the last")
    claimed_gain: float = Field(gt=0, le=100, description="percentage points")
    claimed_baseline: float | None = Field(default=None, ge=0, le=100, description="percent")
    claimed_treatment: float | None = Field(default=None, ge=0, le=100, description="percent")
    # Below 1e-4 no number of pairs that anybody runs has the power, and the search for one doesn't converge.
    alpha: float = Field(default=0.05, ge=1e-4, lt=0.5, description="of the one-sided test, after Holm's adjustment")
    margin: float = Field(gt=0, description="δ: how far from the claimed gain still counts as equal, in points")
    side: Literal["greater"] = Field(default="greater", description="the direction of the claim")
    min_pairs: int = Field(default=3, ge=2, le=1000, description="fewer pairs than this leave the claim untested")
    not_runnable: str = Field(default="", description="why the suite can't test it")

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
        if self.metric not in TESTED and not self.not_runnable:
            raise ValueError(f"{' or '.join(TESTED)} as the metric, or else not_runnable: why it can't be tested")
        return self

    @property
    def title(self) -> str:
        """Where the claim stands, in one line; an analogue says so."""
        analogue = "analogue of " if self.kind == "analogue" else ""
        return f"{analogue}{self.paper} ({self.version}), {table_name(self.table)}, {self.row}"

    @property
    def obstacle(self) -> str:
        """Why no runs of the suite can test the claim; empty if they can."""
        if self.not_runnable or self.epoch is None:
            return self.not_runnable
        return f"it is about epoch {self.epoch}, and verdicts are on the last or the best one"


@dataclass(frozen=True)
class Claims:
    """A claim file, read: its values in the order of the table, its claims, and what is stated.

    known: its values and those of the files that it refers to, by id. places: where each id of the file stands.
    """

    document: Document
    title: str
    values: dict[str, Value]
    claims: list[Claim]
    stated: list[Statement]
    known: dict[str, Value]
    places: dict[str, str]


def load_claims(paths: Iterable[str | Path]) -> list[Claim]:
    """The claims of the files, in their order.

    Raises:
        InputError: a file is missing or wrong (with file and line), or an id stands twice.
    """
    return [claim for file in read_claim_files(paths) for claim in file.claims]


def read_claim_files(paths: Iterable[str | Path]) -> list[Claims]:
    """The files with all that stands in them, each file once; raises as `load_claims` does."""
    reader, places = _Reader(), dict[str, str]()
    files = {path.resolve(): reader.read(path) for path in map(Path, paths)}
    for file in files.values():
        for name, place in file.places.items():
            if name in places:
                raise InputError(problems=[_twice(name, places[name], place)])
            places[name] = place
    return list(files.values())


def untested(claims: Iterable[Claim], trials: Iterable[Trial]) -> list[Claim]:
    """The claims that no two cells of a grid stand for: its runs will leave them untested."""
    cells = {trial.cell_id: {**trial.levels, "recipe": trial.recipe_name} for trial in trials}
    return [claim for claim in claims if claim.obstacle or not claim.contrast.has_both_sides(cells.values())]


def _is_number(value: Any) -> TypeGuard[float]:
    return type(value) in (int, float) and math.isfinite(value)


def _twice(name: str, first: str, place: str) -> Problem:
    return Problem(
        f"the id {name!r} stands twice",
        expected="each id once",
        found=f"first in {first}",
        where=place,
        fix="give one of the two another id",
    )


@dataclass
class _Reader:
    """Reads claim files, each once, though several refer to it."""

    read_files: dict[Path, Claims] = field(default_factory=dict)
    open_files: list[Path] = field(default_factory=list)

    def read(self, path: Path) -> Claims:
        key = path.resolve()
        if key not in self.read_files:
            document = read_document(path)
            self.open_files.append(key)
            self.read_files[key] = _Parts(document, document.validate(ClaimFile), self).result()
            self.open_files.pop()
        return self.read_files[key]


class _Parts:
    """The parts of one file, validated one by one, so that all that is wrong with them is told at once."""

    def __init__(self, document: Document, file: ClaimFile, reader: _Reader) -> None:
        self.document, self.file = document, file
        self.problems: list[Problem] = []
        self.places: dict[str, str] = {}
        self.known: dict[str, Value] = {}
        self.taken: dict[str, str] = {}  # the ids of the files that this one refers to, and where they stand
        self._read_referred(reader)

    def result(self) -> Claims:
        """All parts; raises `InputError`."""
        values = {value.id: value for value in self._values()}
        self.known |= values
        claims, stated = list(self._claims()), list(self._stated())
        if self.problems:
            raise InputError(problems=self.problems)
        return Claims(self.document, self.file.title, values, claims, stated, self.known, self.places)

    def _read_referred(self, reader: _Reader) -> None:
        for index, name in enumerate(self.file.refer_to):
            path = self.document.path.parent / name
            if path.resolve() in reader.open_files:
                self._problem("the files refer to each other in a circle", "files in one order", repr(name),
                              ("refer_to", index), "let one of the two refer to the other")  # fmt: skip
            else:
                referred = reader.read(path)
                self.known |= referred.values
                self.taken |= referred.places

    def _note_id(self, name: str, at: Location) -> None:
        place = self.document.where((*at, "id"))
        if first := self.places.get(name) or self.taken.get(name):
            self.problems.append(_twice(name, first, place))
        self.places[name] = place

    def _problem(self, what: str, expected: str, found: str, at: Location, fix: str) -> None:
        self.problems.append(Problem(what, expected, found, self.document.where(at), fix))

    def _validated(self, model: type[M], values: dict[str, Any], at: Location) -> M | None:
        try:
            return self.document.validate(model, values, at)
        except InputError as error:
            self.problems += error.problems
            return None

    def _header(self, at: Location, *keys: str) -> dict[str, Any]:
        """What the top of the file says for all its parts; what is wrong with it has the line at the top."""
        found = {key: value for key in keys if (value := getattr(self.file, key)) not in (None, "")}
        for key in found:
            self._inherit((*at, key), (key,))
        return found

    def _inherit(self, at: Location, top: Location) -> None:
        if top in self.document.lines:
            self.document.lines.setdefault(at, self.document.lines[top])

    def _values(self) -> Iterator[Value]:
        for index, entry in enumerate(self.file.values):
            at: Location = ("values", index)
            header = self._header(
                at, "paper", "version", "table", "evidence", "metric", "epochs", "runs", "not_runnable"
            )
            own = entry.get("cell", {})
            cell = {**self.file.cell, **own} if isinstance(own, dict) else own
            for axis in self.file.cell:
                self._inherit((*at, "cell", axis), ("cell", axis))
            value = self._validated(Value, {**header, **entry, "cell": cell}, at)
            if value is None:
                continue
            self._note_id(value.id, at)
            if not value.not_runnable:
                for axis, level, advice in value.unknown_levels():
                    self._unknown(axis, level, advice, (*at, "cell", axis))
            yield value

    def _unknown(self, axis: str, level: str, advice: str, at: Location) -> None:
        self._problem(f"unknown {axis} {level!r}", f"a {axis} that the suite has, or not_runnable: why it can't be run",
                      repr(level), at, advice)  # fmt: skip

    def _claims(self) -> Iterator[Claim]:
        for index, entry in enumerate(self.file.claims):
            at: Location = ("claims", index)
            values = self._resolved(entry, at)
            if values is None:
                continue
            if "alpha" not in values:
                self._problem(f"claims.{index}.alpha is missing", "α, fixed before any run", "nothing", at,
                              "add `alpha: 0.05`, or `test: {alpha: 0.05}` at the top of the file")  # fmt: skip
            claim = self._validated(Claim, values, at)
            if claim is None:
                continue
            self._note_id(claim.id, at)
            if not claim.not_runnable:
                self._check_levels(claim, at)
            yield claim

    def _check_levels(self, claim: Claim, at: Location) -> None:
        asked = claim.contrast
        sides = [(asked.axis, asked.baseline, "baseline"), (asked.axis, asked.treatment, "treatment")]
        for axis, level, key in [*sides, *((axis, level, "match") for axis, level in asked.match.items())]:
            if axis in _CHECKED and (advice := unknown_level(axis, level)):
                self._unknown(axis, level, advice, (*at, "contrast", key))

    def _resolved(self, entry: dict[str, Any], at: Location) -> dict[str, Any] | None:
        """A claim's keys, with what the values that it names, the rule and the top of the file say besides."""
        rule = self.file.test.model_dump(exclude_none=True, exclude={"margin_share"})
        for key in rule:
            self._inherit((*at, key), ("test", key))
        values = {**self._header(at, "paper", "version", "table", "evidence", "not_runnable"), **rule}
        named = {key: entry[key] for key in Sides.model_fields if key in entry}
        entry = {key: value for key, value in entry.items() if key not in named}
        if named:
            sides = self._validated(Sides, named, at)
            compared = None if sides is None else self._compared(sides, entry, at)
            if compared is None:
                return None
            values |= compared
        values |= entry
        share, gain = self.file.test.margin_share, values.get("claimed_gain")
        if share is not None and "margin" not in values and _is_number(gain):
            values["margin"] = float(Fraction(share) * Fraction(str(gain)))
        return values

    def _no_value(self, key: str, name: str, at: Location) -> None:
        self._problem(f"{key!r} names no published value", "the id of a value, here or in a file of refer_to",
                      repr(name), (*at, key), nearest(name, self.known))  # fmt: skip

    def _compared(self, sides: Sides, entry: dict[str, Any], at: Location) -> dict[str, Any] | None:
        """What two values make of a claim: the contrast, the metric and the claimed numbers."""
        for key, name in (("baseline", sides.baseline), ("treatment", sides.treatment)):
            if name not in self.known:
                self._no_value(key, name, at)
        if not {sides.baseline, sides.treatment} <= self.known.keys():
            return None
        baseline, treatment = self.known[sides.baseline], self.known[sides.treatment]
        if (baseline.metric, baseline.epoch) != (treatment.metric, treatment.epoch):
            self._problem("the two sides are measured differently", f"{baseline.metric}, as the baseline",
                          treatment.metric, (*at, "treatment"), "name two values of one column")  # fmt: skip
            return None
        gain = Fraction(treatment.printed) - Fraction(baseline.printed)
        if gain <= 0:
            self._problem("no gain is claimed", f"a treatment above the baseline's {baseline.printed}",
                          treatment.printed, (*at, "treatment"),
                          "name the better side as the treatment: that is what the paper claims")  # fmt: skip
            return None
        if "contrast" not in entry:
            contrast = self._contrast(baseline, treatment, sides.differ, at)
            if contrast is None:
                return None
            entry = {"contrast": contrast}
        numbers = {
            **{key: getattr(treatment, key) for key in ("paper", "version", "table")},
            "row": gain_label(baseline, treatment),
            "evidence": max(baseline.evidence, treatment.evidence, key=list(GRADES).index),  # the weaker one
            "claimed_baseline": baseline.number,
            "claimed_treatment": treatment.number,
            "claimed_gain": float(gain),
        }
        if "published_for" in entry:  # an analogue is measured in its own way, and elsewhere
            return {**numbers, "kind": "analogue", **entry}
        reason = baseline.not_runnable or treatment.not_runnable
        if not reason and sides.differ:
            reason = f"its two sides differ in {' and '.join(sides.differ)}, and a contrast in one axis"
        measured = {"metric": treatment.metric, "epoch": treatment.epoch, "kind": "published"}
        return {**numbers, **measured, **({"not_runnable": reason} if reason else {}), **entry}

    def _contrast(
        self, baseline: Value, treatment: Value, declared: Sequence[str] | None, at: Location
    ) -> dict[str, Any] | None:
        one, other = baseline.cell.levels, treatment.cell.levels
        differing = [axis for axis in AXIS_FIELDS if one.get(axis) != other.get(axis)]
        if baseline.cell.other != treatment.cell.other:
            differing.append("other")
        if set(differing) != set(declared or differing[:1]) or not differing:
            self._problem("the two sides differ in other axes than they should",
                          f"a difference in {' and '.join(declared)}" if declared else "a difference in one axis",
                          " and ".join(differing) or "none", (*at, "treatment"),
                          "name two values that differ in one axis, or declare `differ: [axis, axis]`")  # fmt: skip
            return None
        axis = differing[0]
        match = {name: level for name, level in other.items() if name not in differing}
        return {"axis": axis, "baseline": one.get(axis, ""), "treatment": other.get(axis, ""), "match": match}

    def _stated(self) -> Iterator[Statement]:
        for index, entry in enumerate(self.file.stated):
            at: Location = ("stated", index)
            statement = self._validated(Statement, entry, at)
            if statement is None:
                continue
            self._note_id(statement.id, at)
            for key, name in statement.references.items():
                if name not in self.known:
                    self._no_value(key, name, at)
            base = self.known.get(statement.baseline)
            if statement.quantity == "percent" and base is not None and base.interval.low <= 0:
                self._problem("a percentage of what may be zero", "a baseline above zero", base.printed,
                              (*at, "baseline"), "state the difference in place of the percentage")  # fmt: skip
            yield statement


def carried_over(claim: Claim, budget: Budget | None) -> Claim:
    """The claim as a grid of this budget tests it: as an analogue, of the cells that stand for the published ones."""
    if budget is None or claim.kind == "analogue":
        return claim
    asked = claim.contrast
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
        }
    )

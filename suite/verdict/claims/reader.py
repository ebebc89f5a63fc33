"""Read claim files, with the file and line of each mistake."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeGuard, TypeVar

from suite.errors import InputError, Problem, nearest
from suite.grid.axes import BUILT_IN_AXES, unknown_level
from suite.grid.documents import Document, Location, check_inside, read_document
from suite.grid.methods import OWN
from suite.grid.shipped import find_named
from suite.store.files import real_path
from suite.store.record import AXIS_FIELDS
from suite.verdict.claims.claim import Claim
from suite.verdict.claims.published import GRADES, Model, Statement, Value, decimals, gain_label
from suite.verdict.claims.schema import ClaimFile, Sides

M = TypeVar("M", bound=Model)


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


def read_claim_files(paths: Iterable[str | Path], reader: ClaimReader | None = None) -> list[Claims]:
    """The files with all that stands in them, each file once; raises as `load_claims` does.

    reader: what has read files before, so that they aren't read again.
    """
    reader, places = reader or ClaimReader(), dict[str, str]()
    files = {real_path(path): reader.read(path) for path in map(Path, paths)}
    for file in files.values():
        for name, place in file.places.items():
            if name in places:
                raise InputError(problems=[_twice(name, places[name], place)])
            places[name] = place
    return list(files.values())


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
class ClaimReader:
    """Reads claim files, each once, though several files or grids refer to it."""

    read_files: dict[Path, Claims] = field(default_factory=dict)
    open_files: list[Path] = field(default_factory=list)

    def read(self, path: Path) -> Claims:
        """The file; raises as `load_claims` does, except for an id that stands in another file too."""
        key = real_path(path)
        if key not in self.read_files:
            document = read_document(path)
            self.open_files.append(key)
            self.read_files[key] = _Parts(document, document.validate(ClaimFile), self).result()
            self.open_files.pop()
        return self.read_files[key]


class _Parts:
    """The parts of one file, validated one by one, so that all that is wrong with them is told at once."""

    def __init__(self, document: Document, file: ClaimFile, reader: ClaimReader) -> None:
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
        claims, stated = self._in_families(list(self._claims())), list(self._stated())
        if self.problems:
            raise InputError(problems=self.problems)
        return Claims(self.document, self.file.title, values, claims, stated, self.known, self.places)

    def _read_referred(self, reader: ClaimReader) -> None:
        for index, name in enumerate(self.file.refer_to):
            path = find_named(self.document.path.parent, name)
            check_inside(path, self.document.path.parent, self.document.where(("refer_to", index)))
            if real_path(path) in reader.open_files:
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
                      repr(level), at, f"{advice}; {OWN}" if axis in BUILT_IN_AXES else advice)  # fmt: skip

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

    def _in_families(self, claims: Sequence[Claim]) -> list[Claim]:
        """The claims with the size of their family: fixed by the files alone, so that no runs can change it."""
        sizes = Counter(claim.family for claim in claims if not claim.obstacle)
        found = []
        for claim in claims:
            own = max(sizes[claim.family], 1)
            if claim.family_size is not None and claim.family_size < own:
                place = self.places.get(claim.id, str(self.document.path))
                expected, fix = f"{own} or more", "leave family_size out: the file's testable claims are counted"
                what = "a family that is smaller than the claims in it"
                self.problems.append(Problem(what, expected, str(claim.family_size), place, fix))
            found.append(claim.model_copy(update={"family_size": claim.family_size or own}))
        return found

    def _check_levels(self, claim: Claim, at: Location) -> None:
        asked = claim.contrast
        sides = [(asked.axis, asked.baseline, "baseline"), (asked.axis, asked.treatment, "treatment")]
        for axis, level, key in [*sides, *((axis, level, "match") for axis, level in asked.match.items())]:
            if axis in BUILT_IN_AXES and (advice := unknown_level(axis, level)):
                self._unknown(axis, level, advice, (*at, "contrast", key))

    def _resolved(self, entry: dict[str, Any], at: Location) -> dict[str, Any] | None:
        """A claim's keys, with what the values that it names, the rule and the top of the file say besides."""
        rule = self.file.test.model_dump(exclude_none=True, exclude={"margin_share"})
        if entry.keys() & {"max_pairs", "sequential"}:  # a claim's own rule replaces the file's
            rule = {key: value for key, value in rule.items() if key not in ("max_pairs", "sequential")}
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
        runs = [value.runs for value in (baseline, treatment) if value.runs is not None]
        numbers = {
            "published_runs": min(runs) if len(runs) == 2 else None,
            "rounding": sum(0.5 * 10.0 ** -decimals(value.printed) for value in (baseline, treatment)),
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
            reason = f"its two sides differ in {' and '.join(sides.differ)}; a claim compares two levels of one axis"
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

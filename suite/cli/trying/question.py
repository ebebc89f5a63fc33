"""The question of `lape try`: a method, what it is compared with, and the gain that is claimed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from suite.errors import InputError, nearest, unknown
from suite.grid.axes import AXES, BUILT_IN_AXES
from suite.grid.documents import Document
from suite.grid.methods import OWN
from suite.grid.recipe import Recipe


@dataclass(frozen=True)
class Question:
    """What is asked.

    Args:
        axis: the axis of the method.
        method: the level whose gain is asked for.
        baseline: the level that it is compared with.
        claim: the claimed gain in points; None: a gain of any size.
        data: what --data names; None: whatever is prepared.
        arch: an architecture, or a family; None: what the ladder has.
        recipe: values that take the place of those of the ladder's recipe.
        name: of the grid, its folder, and its results.
    """

    axis: str
    method: str
    baseline: str
    claim: float | None = None
    data: str | None = None
    arch: str | None = None
    recipe: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""

    @property
    def command(self) -> str:
        """The command, without its options."""
        return f"lape try {self.method}"


def ask(
    method: str, *, axis: str | None, over: str | None, claim: float | None, data: str | None, arch: str | None,
    recipe: Sequence[str], name: str | None,
) -> Question:  # fmt: skip
    """The question, with what wasn't said filled in. Arguments are those of the command; recipe: `recipe.KEY=VALUE`.

    Raises:
        InputError: no axis, or several, have such a level; the baseline is unknown or the method itself; the claimed
            gain isn't above zero; the name can't be a grid's.
    """
    where = f"lape try {method}"
    if axis is not None and axis not in BUILT_IN_AXES:
        raise unknown("axis", axis, BUILT_IN_AXES, where=f"--axis {axis}")
    asked = _axis(method, BUILT_IN_AXES if axis is None else (axis,), where)
    baseline = over or _usual_baseline(asked, method)
    if baseline not in AXES[asked].levels:
        raise unknown(asked, baseline, AXES[asked].levels, where=f"--over {baseline}", fix=OWN)
    if baseline == method:
        raise InputError(
            f"{method!r} is what other methods are compared with",
            expected="a method and another baseline",
            found=f"{method} over {baseline}",
            where=where if over is None else f"--over {over}",
            fix=f"name a method of `lape ls {AXES[asked].plural}`, or another baseline by --over",
        )
    if claim is not None and not 0 < claim <= 100:
        raise InputError(
            "no gain is claimed",
            expected="percentage points above 0, and at most 100",
            found=f"{claim:g}",
            where=f"--claim {claim:g}",
            fix="give the gain that you expect, such as --claim +0.5, or leave it out: a gain of any size",
        )
    parts = [over and f"over_{over}", data, arch, claim and f"claim_{claim:g}", *recipe]
    named = _checked(name) if name is not None else _name(method, [part for part in parts if part])
    return Question(asked, method, baseline, claim, data, arch, _recipe(recipe), named)


def _recipe(assignments: Sequence[str]) -> dict[str, Any]:
    """The values of `recipe.KEY=VALUE`."""
    document = Document(Path("--set"), {"recipe": {}})
    for assignment in assignments:
        path, equals, _ = assignment.partition("=")
        part, _, key = path.strip().partition(".")
        if not equals or part != "recipe" or key not in Recipe.model_fields or key == "epochs":
            raise InputError(
                "a value that `lape try` can't set",
                expected="--set recipe.KEY=VALUE, of any key of a recipe but epochs, which are chosen by the time",
                found=assignment,
                where=f"--set {assignment}",
                fix="change the grid's file for more, before its first run",
            )
        document.override(assignment)
    return dict(document.values["recipe"])


def _axis(method: str, among: tuple[str, ...], where: str) -> str:
    found = [axis for axis in among if method in AXES[axis].levels]
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(
            f"{method!r} is a level of several axes",
            expected="one axis",
            found=" and ".join(found),
            where=where,
            fix=f"add --axis {found[0]}, for instance",
        )
    known = dict.fromkeys(level for axis in among for level in AXES[axis].levels)
    raise InputError(
        f"unknown method {method!r}",
        expected="a level of " + " or ".join(f"`lape ls {AXES[axis].plural}`" for axis in among),
        found=repr(method),
        where=where,
        fix=f"{nearest(method, known)}; {OWN}",
    )


def _usual_baseline(axis: str, method: str) -> str:
    if (reference := AXES[axis].reference(method)) is not None:
        return reference
    return "learnable" if method != "learnable" else "none"


def _name(method: str, parts: Sequence[str]) -> str:
    """A name of all that was asked, so that the same command finds its own files again."""
    return re.sub(r"[^a-z0-9_-]+", "_", "_".join(["try", method, *parts]).lower())[:100]


def _checked(name: str) -> str:
    if re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,99}", name):
        return name
    raise InputError(
        f"{name!r} can't be the name of a grid",
        expected="lower-case letters, digits, '_' and '-'",
        found=repr(name),
        where=f"--name {name}",
        fix="give another name, such as my_trial",
    )

"""`lape ls`: lists the names that a grid can use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from suite.errors import InputError, unknown
from suite.grid.axes import AXES, Axis
from suite.grid.methods import origin
from suite.grid.shipped import known_files, typed_name
from suite.text import note


def list_kind(kind: str) -> list[str]:
    """Return a line for each item of a kind, such as "joins". Raises `InputError` for an unknown kind."""
    if kind not in _KINDS:
        raise unknown("kind of thing", kind, _KINDS, where="lape ls")
    return list(_KINDS[kind]())


def columns(rows: Mapping[str, str]) -> Iterator[str]:
    """Yield a line for each name and its text, with the texts aligned in a column."""
    width = max(map(len, rows), default=0)
    return (f"{name:<{width}}  {text}".rstrip() for name, text in rows.items())


def _levels(axis: Axis) -> Iterator[str]:
    return columns({name: level.description + _from(axis, name) for name, level in axis.levels.items()})


def _from(axis: Axis, name: str) -> str:
    """Where a level that isn't the package's own comes from."""
    found = origin(axis.name, name)
    return f"; from {found}" if found else ""


def _archs(axis: Axis) -> Iterator[str]:
    from suite.models.architectures import FAMILIES

    rows = {name: level.description + _from(axis, name) for name, level in axis.levels.items()}
    for family in FAMILIES.values():
        rows[family.name] = f"family: {family.summary}; {family.source}; sizes {', '.join(family.size.model_fields)}"
        rows[family.name] += _from(axis, family.name)
    return columns(rows)


def _corruptions() -> Iterator[str]:
    from suite.data.corruptions.settings import KINDS

    return columns(KINDS)


def _tasks() -> Iterator[str]:
    from suite.data.tasks import TASKS

    return columns(
        {
            name: f"each image has {task.data}; metric {task.metric}; kept of each test image: {task.evidence}"
            for name, task in TASKS.items()
        }
    )


def _metrics() -> Iterator[str]:
    from suite.verdict.metrics import METRICS

    rows = {}
    for name, metric in METRICS.items():
        if metric.tested:
            task = "" if metric.task is None else f"; task {metric.task}"
            rows[name] = f"{metric.better} is better; {metric.summary}{task}"
    return columns(rows)


def _recipes() -> Iterator[str]:
    from suite.grid.documents import load_document
    from suite.grid.recipe import Recipe

    rows = {name: load_document(path, Recipe) for name, path in known_files("recipes").items()}
    return columns({name: f"{recipe.total_epochs} epochs, batch {recipe.batch_size}" for name, recipe in rows.items()})


def _claims() -> Iterator[str]:
    from suite.text import points
    from suite.verdict.claims.reader import load_claims

    rows = {}
    for claim in load_claims(list(known_files("claims").values())):
        reason = f"; not tested: {claim.obstacle}" if claim.obstacle else ""
        gain = f"{points(claim.claimed_gain):>6}  {claim.evidence}"
        rows[claim.id] = f"{gain:<25}  {claim.title}{reason}"
    return columns(rows)


def _grids() -> Iterator[str]:
    from suite.grid.grid import load_grid

    rows = {}
    for path in known_files().values():
        name = typed_name(path)
        try:
            rows[name] = load_grid(path).file.description
        except InputError as error:
            note(f"{name} is left out, `lape check {name}` tells why: {error.problems[0].what}")
    return columns(rows)


_KINDS: dict[str, Callable[[], Iterator[str]]] = {
    **{axis.plural: partial(_archs if axis.name == "arch" else _levels, axis) for axis in AXES.values()},
    "tasks": _tasks,
    "corruptions": _corruptions,
    "metrics": _metrics,
    "recipes": _recipes,
    "claims": _claims,
    "grids": _grids,
}

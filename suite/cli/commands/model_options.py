"""The options that choose models: architectures, positions, joining methods, norms."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from suite.cli.commands.console import Record
from suite.errors import InputError
from suite.grid.axes import AXES
from suite.models.architectures import Architecture, resolve_architecture
from suite.models.costs.counting import Impossible, product
from suite.models.model_cell import ModelCell, Shape


def listed_cells(
    archs: Sequence[str],
    sizes: Sequence[str],
    pes: Sequence[str],
    joins: Sequence[str],
    norms: Sequence[str],
    shape: Shape,
) -> list[ModelCell | Impossible]:
    """The models of all combinations, and the combinations that no model has; raises `InputError`."""
    for axis, names in (("pe", pes), ("join", joins), ("norm", norms)):
        check_names(f"--{axis}", AXES[axis].levels, names)
    return list(product([chosen_architecture(arch, sizes) for arch in archs], pes, joins, norms, shape))


def possible(cells: Iterable[ModelCell | Impossible], *, expected: str, where: str, fix: str) -> list[ModelCell]:
    """The cells, of which all must be possible; raises `InputError` in these words for the first that isn't."""
    found = []
    for cell in cells:
        if isinstance(cell, Impossible):
            fixes = "; or ".join(filter(None, (cell.fix, fix)))
            raise InputError(cell.reason, expected=expected, found=cell.label, where=where, fix=fixes)
        found.append(cell)
    return found


def usual_pe(architecture: Architecture) -> str:
    """What is measured where no position embedding is named: a learned one, if there are tokens to have it."""
    return "none" if architecture.size.width is None else "learnable"


def check_names(option: str, known: Mapping[str, Any], names: Iterable[str]) -> None:
    """Raise `InputError`, which names the option, for a name that isn't known."""
    for name in names:
        try:
            known[name]
        except InputError as error:
            raise error.at(f"{option} {name}") from None


def chosen_architecture(name: str, sizes: Sequence[str]) -> Architecture:
    """A named architecture, or a family, with its sizes as `key=value`; raises `InputError`."""
    where = " ".join([f"--arch {name}", *(f"--size {size}" for size in sizes)])
    try:
        return resolve_architecture(name, dict(_size(assignment) for assignment in sizes))
    except InputError as error:
        raise error.at(where) from None


def _size(assignment: str) -> tuple[str, Any]:
    key, equals, text = assignment.partition("=")
    try:
        value = json.loads(text)  # numbers and booleans, which is all that sizes are
    except ValueError:
        value = None
    if not (equals and key and isinstance(value, int | float)):
        raise InputError(
            "a size must have a key and a value",
            expected="KEY=VALUE, the value a number, true or false",
            found=repr(assignment),
            where=f"--size {assignment}",
            fix="for instance --size embed_dim=32",
        )
    return key, value


def cell_record(cell: ModelCell) -> Record:
    """The columns of a CSV that say which model it is."""
    return {"arch": cell.arch.name, **cell.levels, **asdict(cell.shape)}

"""Helpers for the options that choose models: architectures, position embeddings, joining methods and norms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from suite.cli.commands.console import Record
from suite.errors import InputError
from suite.grid.axes import AXES
from suite.grid.methods import OWN, may_be_own
from suite.grid.yaml import load_yaml
from suite.models.architectures import Architecture, resolve_architecture
from suite.models.costs.counting import Impossible, product
from suite.models.model_cell import ModelCell, Shape
from suite.models.size_limits import check_sizes


def listed_cells(
    archs: Sequence[str],
    sizes: Sequence[str],
    pes: Sequence[str],
    joins: Sequence[str],
    norms: Sequence[str],
    shape: Shape,
) -> list[ModelCell | Impossible]:
    """Return the models of all combinations, with an `Impossible` for each combination that can't be built.

    Args:
        archs: architectures or families.
        sizes: sizes of the architectures, as KEY=VALUE.
        pes: position embeddings.
        joins: joining methods.
        norms: norms; empty: the architecture's own.
        shape: the classes, the image size and the channels.

    Raises:
        InputError: a name or a size is unknown.
    """
    for axis, names in (("pe", pes), ("join", joins), ("norm", norms)):
        check_names(f"--{axis}", AXES[axis].levels, names)
    return list(product([chosen_architecture(arch, sizes) for arch in archs], pes, joins, norms, shape))


def possible(cells: Iterable[ModelCell | Impossible], *, expected: str, where: str, fix: str) -> list[ModelCell]:
    """Return the cells, all of which must be possible.

    Args:
        cells: models, and combinations that can't be built.
        expected: the part "expected" of the error message.
        where: the part "where" of the error message.
        fix: the part "fix" of the error message.

    Raises:
        InputError: a combination can't be built; the message is for the first one.
    """
    found = []
    for cell in cells:
        if isinstance(cell, Impossible):
            fixes = "; or ".join(filter(None, (cell.fix, fix)))
            raise InputError(cell.reason, expected=expected, found=cell.label, where=where, fix=fixes)
        found.append(cell)
    return found


def usual_pe(architecture: Architecture) -> str:
    """Return the default position embedding: "learnable", or "none" for an architecture without tokens."""
    return "none" if architecture.size.width is None else "learnable"


def check_names(option: str, known: Mapping[str, Any], names: Iterable[str]) -> None:
    """Check that all names are known.

    Args:
        option: the option that has the names, for the message.
        known: the registry of known names.
        names: the names to check.

    Raises:
        InputError: a name is unknown.
    """
    for name in names:
        try:
            known[name]
        except InputError as error:
            raise may_be_own(error).at(f"{option} {name}") from None


def chosen_architecture(name: str, sizes: Sequence[str]) -> Architecture:
    """Return a named architecture, or a family with sizes given as `key=value`. Raises `InputError` if unknown."""
    where = " ".join([f"--arch {name}", *(f"--size {size}" for size in sizes)])
    try:
        given = dict(_size(assignment) for assignment in sizes)
        check_sizes(name, given)
        return resolve_architecture(name, given)
    except InputError as error:
        problems = error.at(where).problems
        if problems[0].found == repr(name):  # the name itself is unknown
            timm = f"for a model of timm: --arch timm --size model={name}"
            problems = (replace(problems[0], fix=f"{timm}; {problems[0].fix}; {OWN}"),)
        raise InputError(problems=problems) from None


def _size(assignment: str) -> tuple[str, Any]:
    """A size's key and value. The value is YAML, as in a grid file: a number, true, a name or a list."""
    key, equals, text = assignment.partition("=")
    if not (equals and key and text.strip()):
        raise InputError(
            "a size must have a key and a value",
            expected="KEY=VALUE, the value as in a grid file",
            found=repr(assignment),
            where=f"--size {assignment}",
            fix="for instance --size embed_dim=32",
        )
    return key, load_yaml(text, f"--size {assignment}")


def cell_record(cell: ModelCell) -> Record:
    """Return the CSV columns that identify a model."""
    return {"arch": cell.arch.name, **cell.levels, **asdict(cell.shape)}

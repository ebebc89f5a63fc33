"""The axes of a grid: one table, which grids, trials, tables, figures and commands read.

To add an axis, give it a row here and a name in `suite.store.record.AXIS_FIELDS`. Needs no torch; an axis imports its
levels when they are first asked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from suite.errors import InputError, nearest
from suite.models.levels import Cell, refusal
from suite.registry import Registry, resolve
from suite.store.record import AXIS_FIELDS, LATER_AXES, USUAL_LEVELS


@dataclass(frozen=True)
class Axis:
    """One axis: a named list of levels, of which each cell has one.

    Args:
        name: the key in grid files, and the field in records.
        heading: the heading of its column in tables.
        plural: its levels in the plural, such as "joins" (`lape ls joins`).
        described: what a grid file lists under it.
        registry: "module:object" of its built-in levels by name, in the order of tables: the baseline comes first.
        method: whether a level is a method, whose gain is asked for. The levels of other axes are sizes and data.
        references: the levels that a method's gain is measured against; of several, `Level.compared_with` names one.
        featured: the methods that `lape bench` measures where none is named: the first that fits.
        of_model: whether the level changes the model, and not only how it is trained.
        declared_as: the key under which a grid file declares levels of its own; empty if it can't.
    """

    name: str
    heading: str
    plural: str
    described: str
    registry: str
    method: bool = False
    references: tuple[str, ...] = ()
    featured: tuple[str, ...] = ()
    of_model: bool = True
    declared_as: str = ""

    @property
    def levels(self) -> Mapping[str, Any]:
        """The built-in levels: a `Level` each, or a `Dataset`. An unknown name raises `InputError`."""
        known: Mapping[str, Any] = resolve(self.registry)
        return known

    @property
    def usual(self) -> str | None:
        """The level of a cell that names none, which labels leave out; None if a grid must name it."""
        return USUAL_LEVELS.get(self.name)

    def refusal(self, cell: Cell) -> InputError | None:
        """Why the cell can't have its level on this axis, and what to change; None if it can, or if it names none."""
        if self.name == "arch":
            reason = cell.arch.refuses(cell)  # its sizes may be a grid's own, so that it isn't looked up
            if reason is None:
                return None
            return InputError(reason.what, expected=reason.expected, found=reason.found, fix=reason.fix)
        known = self.levels
        return refusal(known, cell) if self.name in cell.levels and isinstance(known, Registry) else None

    def reference(self, level: str) -> str | None:
        """The level that tables compare this one with; None for an unknown level of an axis with several references."""
        if len(self.references) == 1:
            return self.references[0]
        known = self.levels
        compared: str | None = known[level].compared_with if level in known else None
        return compared


# In the order of `AXIS_FIELDS`, which is that of records.
AXES: Mapping[str, Axis] = {
    axis.name: axis
    for axis in (
        Axis("dataset", "Data", "datasets", "data sets", "suite.data.datasets:DATASETS", of_model=False,
             declared_as="datasets"),
        Axis("arch", "Architecture", "archs", "architectures", "suite.models.architectures:ARCHITECTURES",
             declared_as="architectures"),
        Axis("pe", "PE", "pe", "position embeddings", "suite.models.positions:POSITIONS"),
        Axis("join", "Join", "joins", "joining methods", "suite.models.joins:JOINS", method=True,
             references=("default",), featured=("lape",)),
        Axis("norm", "Norm", "norms", "normalisations", "suite.models.norms:NORMS", method=True,
             references=("bn", "ln"), featured=("dtn", "l2bn")),
        Axis("loss", "Loss", "losses", "losses", "suite.grid.losses:LOSSES", method=True,
             references=("default",), featured=("diversepatch",), of_model=False),
    )
}  # fmt: skip

if tuple(AXES) != AXIS_FIELDS:  # a record without a field for an axis would lose its level
    raise RuntimeError(f"the axes {', '.join(AXES)} aren't those of records: {', '.join(AXIS_FIELDS)}")

GRID_ORDER = tuple(sorted(AXES, key="dataset".__eq__))  # of grids, trials and labels: the data set last
BUILT_IN_AXES = tuple(name for name, axis in AXES.items() if not axis.declared_as)  # no grid file declares their levels
COLUMN_ORDER = tuple(sorted(AXES, key="join".__eq__))  # of tables, which group rows that differ in their join alone
METHODS = tuple(name for name in AXES if AXES[name].method)


def level_order(axis: str, level: str) -> tuple[int, str]:
    """The place of a level in tables: built-in ones in order of registration, others after them by name.

    A name that ends in settings (`digits+epochs=100`) is ordered by their numbers.
    """
    known = list(AXES[axis].levels) if axis in AXES else []
    return (known.index(level), "") if level in known else (len(known), _SETTING.sub(_padded, level))


_SETTING = re.compile(r"(?<==)\d+(\.\d+)?(e-?\d+)?(?=\+|$)")


def _padded(number: re.Match[str]) -> str:
    return f"{float(number[0]):032.15f}"


def is_usual(axis: str, level: str) -> bool:
    """Whether a label can leave the level out, since every cell has it unless its grid names another."""
    return USUAL_LEVELS.get(axis) == level


def unknown_level(axis: str, level: str) -> str | None:
    """Advice if the axis has no such built-in level, else None."""
    known = AXES[axis].levels
    return None if level in known else nearest(level, known)


def in_config(levels: Mapping[str, str]) -> dict[str, str]:
    """The levels that are part of a trial's id: all but usual ones of axes that are younger than some records."""
    return {axis: level for axis, level in levels.items() if axis not in LATER_AXES or not is_usual(axis, level)}


def of_model(levels: Mapping[str, str]) -> dict[str, str]:
    """Those of them that change the model."""
    return {axis: level for axis, level in in_config(levels).items() if AXES[axis].of_model}

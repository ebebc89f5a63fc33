"""The interface of every axis's levels: a name, a source, and the cells that they refuse. Doesn't import torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from suite.errors import InputError
from suite.registry import Registry

if TYPE_CHECKING:
    from suite.models.architectures import Architecture


@dataclass(frozen=True)
class Cell:
    """A combination of levels, which a level is asked to accept or refuse.

    Args:
        arch: the architecture.
        image_size: pixels on each side of the square images.
        levels: the levels of the other axes, by axis. Axes that don't affect the answer may be missing.
        recipe: a `suite.grid.recipe.Recipe`; None if only the model matters.
    """

    arch: Architecture
    image_size: int
    levels: Mapping[str, str]
    recipe: Any = None

    def __getitem__(self, axis: str) -> str:
        return self.arch.name if axis == "arch" else self.levels[axis]

    def having(self, axis: str, level: str) -> Self:
        """The same cell with another level on one axis. The axis must not be `arch`."""
        return replace(self, levels={**self.levels, axis: level})


@dataclass(frozen=True)
class Refusal:
    """Why a level doesn't fit a cell, and what to change besides the level. Empty fields get a generic text."""

    what: str
    fix: str = ""
    expected: str = ""
    found: str = ""


class Level:
    """One level of an axis, such as one method under test. Subclasses add what their axis needs, such as a builder.

    A builder is a callable, or a "module:object" string that is imported when a model is built. With strings, levels
    can be listed and checked without importing torch.
    """

    if TYPE_CHECKING:  # fields or properties of a subclass

        @property
        def name(self) -> str:
            """The level's name in grids, records and tables."""

        @property
        def summary(self) -> str:
            """The level in a few words."""

        @property
        def source(self) -> str:
            """The paper or code that the level comes from."""

    def refuses(self, cell: Cell) -> Refusal | None:
        """Why this level can't be used in the cell; None if it can."""
        return None

    @property
    def compared_with(self) -> str | None:
        """The level that tables compare this one with, if the axis has several reference levels; else None."""
        return None

    @property
    def description(self) -> str:
        """The level in one line, as `lape ls` prints it."""
        return f"{self.summary} [{self.source}]"


def refusal(known: Registry[Any], cell: Cell) -> InputError | None:
    """The error that says why a cell's level on one axis is refused, and which levels fit; None if it is accepted.

    Args:
        known: the registry of the axis's levels; its `kind` is the axis.
        cell: the cell.

    Raises:
        InputError: the level is unknown.
    """
    axis, size = known.kind, cell.arch.size

    def refused(name: str) -> Refusal | None:
        level, chosen = known[name], cell.having(axis, name)
        found: Refusal | None = size.refuses(axis, chosen) if axis in size.judged else level.refuses(chosen)
        return found

    reason = refused(cell[axis])
    if reason is None:
        return None
    fitting = [name for name in known if refused(name) is None]
    choose = f"choose {axis} {', '.join(fitting)}" if fitting else ""
    return InputError(
        reason.what,
        expected=reason.expected or "levels that can be combined",
        found=reason.found or f"arch {cell.arch.name} with {axis} {cell[axis]!r}",
        fix="; or ".join(filter(None, (reason.fix, choose))),
    )

"""What the levels of all axes share: a name, a source, and the cells that they refuse. Needs no torch."""

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
    """A combination of levels, as a level sees it when it says whether it fits.

    Args:
        arch: the architecture.
        image_size: pixels on each side of the square images.
        levels: the levels of the other axes, by axis. Axes that don't matter to the question may be missing.
        recipe: a `suite.grid.recipe.Recipe`; None where only the model is asked for.
    """

    arch: Architecture
    image_size: int
    levels: Mapping[str, str]
    recipe: Any = None

    def __getitem__(self, axis: str) -> str:
        return self.arch.name if axis == "arch" else self.levels[axis]

    def having(self, axis: str, level: str) -> Self:
        """The same cell with another level on one axis other than `arch`."""
        return replace(self, levels={**self.levels, axis: level})


@dataclass(frozen=True)
class Refusal:
    """Why a level doesn't fit a cell, and what to change other than the level. Empty parts get a general text."""

    what: str
    fix: str = ""
    expected: str = ""
    found: str = ""


class Level:
    """One level of an axis. A method is a level: subclasses add what their axis needs, such as a builder.

    Builders are callables, or "module:object" strings that are imported when a model is built, so that a level can be
    listed and checked without torch.
    """

    if TYPE_CHECKING:  # fields or properties of a subclass

        @property
        def name(self) -> str:
            """The name in grids, records and tables."""

        @property
        def summary(self) -> str:
            """The level in a few words."""

        @property
        def source(self) -> str:
            """The paper or code that it is from."""

    def refuses(self, cell: Cell) -> Refusal | None:
        """Why no training run can have this level in the cell; None if it can."""
        return None

    @property
    def compared_with(self) -> str | None:
        """The level that tables compare this one with, where the axis has several references; else None."""
        return None

    @property
    def description(self) -> str:
        """The level in one line, as `lape ls` prints it."""
        return f"{self.summary} [{self.source}]"


def refusal(known: Registry[Any], cell: Cell) -> InputError | None:
    """Why a cell can't have its level on the axis of a registry (`Registry.kind`), with the levels that it can have.

    Raises:
        InputError: the level is unknown.
    """
    axis = known.kind
    reason: Refusal | None = known[cell[axis]].refuses(cell)
    if reason is None:
        return None
    fitting = [name for name in known if known[name].refuses(cell.having(axis, name)) is None]
    choose = f"choose {axis} {', '.join(fitting)}" if fitting else ""
    return InputError(
        reason.what,
        expected=reason.expected or "levels that can be combined",
        found=reason.found or f"arch {cell.arch.name} with {axis} {cell[axis]!r}",
        fix="; or ".join(filter(None, (reason.fix, choose))),
    )

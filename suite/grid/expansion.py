"""Expands a block of a grid: the product of its axes, without the excluded cells, plus the included ones."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from suite.errors import InputError
from suite.grid.axes import GRID_ORDER, in_config
from suite.grid.documents import Document, Location
from suite.grid.levels import Catalogue
from suite.grid.schema import Block, Cell, When

Point = Mapping[str, str]  # axis → level


@dataclass(frozen=True)
class Dropped:
    """A cell of the product that doesn't become a trial, and the reason."""

    cell: Point
    reason: str

    @property
    def label(self) -> str:
        """The levels of the cell in one line."""
        return " ".join(in_config({axis: self.cell[axis] for axis in GRID_ORDER}).values())


def block_cells(block: Block, at: Location, catalogue: Catalogue, document: Document) -> Iterator[Point | Dropped]:
    """Yield the cells of a block, with a `Dropped` for each cell that its rules exclude.

    Args:
        block: the block.
        at: its location in the grid file.
        catalogue: the known levels of each axis.
        document: the grid file.

    Raises:
        InputError: a level is unknown, or an included cell doesn't name its level on an axis with several.
    """
    for axis in GRID_ORDER:
        for index, level in enumerate(getattr(block.axes, axis)):
            catalogue.find(axis, level, (*at, "axes", axis, index))
    for index, rule in enumerate(block.exclude):
        for axis in GRID_ORDER:
            for level in getattr(rule.when, axis) or ():
                catalogue.find(axis, level, (*at, "exclude", index, "when", axis))
    for combination in itertools.product(*(getattr(block.axes, axis) for axis in GRID_ORDER)):
        cell = dict(zip(GRID_ORDER, combination, strict=True))
        reason = next((rule.reason for rule in block.exclude if matches(rule.when, cell)), None)
        yield cell if reason is None else Dropped(cell, reason)
    for index, extra in enumerate(block.include):
        yield _included(extra, block, (*at, "include", index), catalogue, document)


def matches(when: When, cell: Point) -> bool:
    """Return whether a cell has one of the levels of `when` on each axis that `when` names."""
    return all(cell[axis] in levels for axis in GRID_ORDER if (levels := getattr(when, axis)) is not None)


def _included(extra: Cell, block: Block, at: Location, catalogue: Catalogue, document: Document) -> Point:
    cell: dict[str, str] = {}
    for axis in GRID_ORDER:
        level, levels = getattr(extra, axis), getattr(block.axes, axis)
        if level is None and len(levels) > 1:
            raise InputError(
                f"an included cell must say its {axis}",
                expected=f"one of {', '.join(levels)}",
                found="nothing, and the block has several",
                where=document.where(at),
                fix=f"add the key {axis!r} to the cell",
            )
        cell[axis] = levels[0] if level is None else level
        catalogue.find(axis, cell[axis], (*at, axis))
    return cell

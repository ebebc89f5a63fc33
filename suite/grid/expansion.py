"""Expands a block of a grid: the product of its axes, without the excluded cells, plus the included ones."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from suite.errors import InputError
from suite.grid.axes import AXES, GRID_ORDER, in_config
from suite.grid.documents import Document, Location
from suite.grid.levels import Catalogue
from suite.grid.schema import Block, Cell, When, named_settings
from suite.grid.settings import SETTINGS, level_text

Point = Mapping[str, Any]  # axis → level: a name, or the value of a setting


@dataclass(frozen=True)
class Dropped:
    """A cell of the product that doesn't become a trial, and the reason."""

    cell: Point
    reason: str

    @property
    def label(self) -> str:
        """The levels of the cell in one line."""
        levels = in_config({axis: self.cell[axis] for axis in GRID_ORDER}).values()
        settings = [f"{name}={level_text(value)}" for name, value in self.cell.items() if name in SETTINGS]
        return " ".join([*levels, *settings])


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
    _check_rules(block, at, document)
    # Settings come first, so that a grid that is stopped early has both sides of the contrasts within a level.
    for settings in setting_points(block):
        for combination in itertools.product(*(getattr(block.axes, axis) for axis in GRID_ORDER)):
            cell = {**dict(zip(GRID_ORDER, combination, strict=True)), **settings}
            reason = next((rule.reason for rule in block.exclude if matches(rule.when, cell)), None)
            yield cell if reason is None else Dropped(cell, reason)
    for index, extra in enumerate(block.include):
        yield _included(extra, block, (*at, "include", index), catalogue, document)


def matches(when: When, cell: Point) -> bool:
    """Return whether a cell has one of the levels of `when` on each axis that `when` names."""
    asked = {axis: levels for axis in when.model_fields_set if (levels := getattr(when, axis)) is not None}
    return all(axis in cell and level_text(cell[axis]) in map(level_text, levels) for axis, levels in asked.items())


def block_size(block: Block) -> int:
    """Return the number of cells of a block before its rules exclude any."""
    tied = [len(next(iter(group.values()))) for group in block.axes.tied]
    levels = [len(getattr(block.axes, axis)) for axis in AXES] + [len(part) for part in block.axes.settings.values()]
    return math.prod([*levels, *tied]) + len(block.include)


def setting_levels(block: Block) -> dict[str, list[Any]]:
    """Return the levels of each setting that is an axis of the block, tied ones included."""
    levels = {**block.axes.settings, **{name: part for group in block.axes.tied for name, part in group.items()}}
    return {name: levels[name] for name in SETTINGS if name in levels}


def setting_place(block: Block, at: Location, name: str, value: Any) -> Location:
    """Return the location of a setting's level in the grid file."""
    for number, group in enumerate(block.axes.tied):
        if value in group.get(name, ()):
            # A single group may be written without a list around it; the line of the outer key then serves.
            return (*at, "axes", "zip", number, name, group[name].index(value))
    levels = block.axes.settings.get(name, [])
    return (*at, "axes", name, levels.index(value)) if value in levels else (*at, "include")


def setting_points(block: Block) -> Iterator[dict[str, Any]]:
    """Yield the product of a block's settings, of which tied ones are taken together; in the order of `SETTINGS`."""
    alone = [[{name: value} for value in levels] for name, levels in block.axes.settings.items()]
    together = [
        [dict(zip(group, values, strict=True)) for values in zip(*group.values(), strict=True)]
        for group in block.axes.tied
    ]
    for parts in itertools.product(*alone, *together):
        point = {name: value for part in parts for name, value in part.items()}
        yield {name: point[name] for name in SETTINGS if name in point}


def _check_rules(block: Block, at: Location, document: Document) -> None:
    """Raise `InputError` if a rule or an included cell names a setting that isn't an axis of its block."""
    levels = setting_levels(block)
    named: list[tuple[When | Cell, Location]] = [
        *((rule.when, (*at, "exclude", index, "when")) for index, rule in enumerate(block.exclude)),
        *((extra, (*at, "include", index)) for index, extra in enumerate(block.include)),
    ]
    for part, place in named:
        for name, values in named_settings(part).items():
            known = levels.get(name, [])
            wrong = [value for value in values if value not in known] if isinstance(part, When) else []
            if known and not wrong:
                continue
            found = " ".join([name, *map(level_text, wrong[:1])]) if known else name
            raise InputError(
                f"{found} is no level of this block" if known else f"{found} is no axis of this block",
                expected=f"one of {', '.join(map(level_text, known))}"
                if known
                else f"one of {', '.join(levels)}"
                if levels
                else "a setting that is an axis, and the block has none",
                found=found,
                where=document.where((*place, name)),
                fix=f"add it under {name!r} in the axes, or leave it out here",
            )


def _included(extra: Cell, block: Block, at: Location, catalogue: Catalogue, document: Document) -> Point:
    cell: dict[str, Any] = {}
    for axis in GRID_ORDER:
        level, levels = getattr(extra, axis), getattr(block.axes, axis)
        if level is None and len(levels) > 1:
            raise _must_say(axis, levels, at, document)
        cell[axis] = levels[0] if level is None else level
        catalogue.find(axis, cell[axis], (*at, axis))
    given = named_settings(extra)
    for name, levels in setting_levels(block).items():
        if name not in given and len(levels) > 1:
            raise _must_say(name, list(map(level_text, levels)), at, document)
        cell[name] = given.get(name, levels[0])
    return cell


def _must_say(axis: str, levels: list[str], at: Location, document: Document) -> InputError:
    return InputError(
        f"an included cell must say its {axis}",
        expected=f"one of {', '.join(levels)}",
        found="nothing, and the block has several",
        where=document.where(at),
        fix=f"add the key {axis!r} to the cell",
    )

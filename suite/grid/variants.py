"""The recipes and architectures of a block's cells, where settings are axes: one for each combination of levels."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from suite.errors import InputError, Problem
from suite.grid.compatibility import check_weights
from suite.grid.documents import MOST_PROBLEMS, Document, Location, more_problems
from suite.grid.expansion import Point, setting_place, setting_points
from suite.grid.levels import Catalogue
from suite.grid.named_recipe import NamedRecipe, named_recipe
from suite.grid.schema import Block, RecipeValues
from suite.grid.settings import SETTINGS, level_text
from suite.models.architectures import Architecture

Levels = Mapping[str, tuple[Any, Location]]  # key → value and its location


class Variants:
    """The recipes and architectures of one block.

    Args:
        block: the block.
        at: its location in the grid file.
        values: the recipe's values, and their location.
        document: the grid file.
        losses: the losses of its cells.

    Raises:
        InputError: there is no recipe, or a level of a setting doesn't fit it; with every such level.
    """

    def __init__(
        self,
        block: Block,
        at: Location,
        values: tuple[RecipeValues | None, Location],
        document: Document,
        losses: Collection[str],
    ) -> None:
        self._block, self._at, self._values, self._document, self._losses = block, at, values, document, losses
        self._recipes: dict[tuple[str, ...], NamedRecipe] = {}
        self._archs: dict[tuple[str, ...], Architecture] = {}
        problems: dict[Problem, None] = {}  # an ordered set
        for point in setting_points(block):  # checked even if all cells are excluded
            try:
                self.recipe(point)
            except InputError as error:
                problems.update(dict.fromkeys(error.problems))
        if problems:
            told = list(problems)
            raise InputError(problems=[*told[:MOST_PROBLEMS], *more_problems(len(told) - MOST_PROBLEMS)])

    def recipe(self, cell: Point) -> NamedRecipe:
        """The recipe of a cell."""
        levels = self._levels(cell, of_recipe=True)
        key = tuple(level_text(value) for value, _ in levels.values())
        if key not in self._recipes:
            values, location = self._values
            recipe = named_recipe(values, location, self._document, levels)
            if self._losses:
                check_weights(recipe, self._losses)
            self._recipes[key] = recipe
        return self._recipes[key]

    def arch(self, cell: Point, catalogue: Catalogue) -> Architecture:
        """The architecture of a cell."""
        levels = self._levels(cell, of_recipe=False)
        key = (cell["arch"], *(level_text(value) for value, _ in levels.values()))
        if key not in self._archs:
            self._archs[key] = catalogue.resized(cell["arch"], levels)
        return self._archs[key]

    def _levels(self, cell: Point, *, of_recipe: bool) -> Levels:
        return {
            SETTINGS[name].key: (value, setting_place(self._block, self._at, name, value))
            for name, value in cell.items()
            if name in SETTINGS and SETTINGS[name].of_recipe == of_recipe
        }


def varied_levels(cell: Point, recipe: NamedRecipe, arch: Architecture) -> dict[str, str]:
    """The text of each setting that is an axis in this cell: of the value as recipe and architecture hold it."""
    found = {}
    for name in (name for name in cell if name in SETTINGS):
        holder = recipe.recipe if SETTINGS[name].of_recipe else arch.size
        found[name] = level_text(holder.model_dump(mode="json")[SETTINGS[name].key])
    return found

"""The recipe of a block of a grid: the values of a recipe file, the grid's changes, and the location of each key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from suite.errors import InputError, nearest
from suite.grid.documents import Document, Location, read_document
from suite.grid.recipe import Recipe
from suite.grid.settings import level_text
from suite.grid.shipped import known_files


@dataclass(frozen=True)
class NamedRecipe:
    """A recipe as a grid uses it.

    Args:
        name: the name that the grid gives to it; else the name of the base recipe, followed by the changes.
        recipe: its values.
        places: the file and line of each key that is set.
        place: the file and line where the grid names the recipe.
    """

    name: str
    recipe: Recipe
    places: Mapping[str, str]
    place: str

    def where(self, key: str) -> str:
        """Return the file and line of a key; for a key that isn't set, those where the grid names the recipe."""
        return self.places.get(key, self.place)


def named_recipe(
    values: Mapping[str, Any] | None,
    location: Location,
    document: Document,
    levels: Mapping[str, tuple[Any, Location]] | None = None,
) -> NamedRecipe:
    """Build a recipe from the values in a grid file.

    Args:
        values: the changed keys, with the keys `base` (a recipe file's name) and `name`; None if the grid has none.
        location: the location of the values in the grid file.
        document: the grid file.
        levels: for each key that is an axis of the grid, the value in this cell and its location.

    Raises:
        InputError: there are no values, the base is unknown, a value is wrong, or a key that is an axis has a value.
    """
    place, levels = document.where(location), levels or {}
    if values is None and not levels:
        raise InputError(
            "no recipe",
            expected="a recipe's name, or its values",
            found="nothing",
            where=place,
            fix="add, for instance, `recipe: digits`",
        )
    values = values or {}
    changes = {key: value for key, value in values.items() if key not in ("base", "name")}
    for key in sorted(changes.keys() & levels.keys()):
        where, axis = document.where((*location, key)), document.where(levels[key][1])
        raise fixed_and_axis(f"recipe.{key}", changes[key], where, axis)
    base = values.get("base")
    inherited, places = dict[str, Any](), dict[str, str]()
    if base is not None:
        file = _recipe_file(str(base), location, document)
        inherited, places = file.values, {key: file.where((key,)) for key in file.values}
    chosen = {key: value for key, (value, _) in levels.items()}
    try:
        recipe = document.validate(Recipe, {**inherited, **changes, **chosen}, location)
    except InputError as error:
        raise _at_level(error, levels, document) if levels else error from None
    texts = {
        key: level_text(value) if isinstance(value, Mapping | str) else str(value) for key, value in changes.items()
    }
    added = {key: level_text(recipe.model_dump(mode="json")[key]) for key in levels}
    if "name" in values:
        name = "+".join([str(values["name"]), *_assignments(added)])
    else:
        name = "+".join([str(base or "inline"), *_assignments({**texts, **added})])
    places |= {key: document.where((*location, key)) for key in changes}
    places |= {key: document.where(at) for key, (_, at) in levels.items()}
    return NamedRecipe(name, recipe, places, place)


def _assignments(texts: Mapping[str, str]) -> list[str]:
    return [f"{key}={text}" for key, text in sorted(texts.items())]


def _at_level(error: InputError, levels: Mapping[str, tuple[Any, Location]], document: Document) -> InputError:
    """The same problems. Those that name a key that is an axis get the axis and the level that they are of."""
    told = ", ".join(f"recipe.{key} {level_text(value)}" for key, (value, _) in levels.items())
    problems = []
    for problem in error.problems:
        named = next((key for key in levels if re.search(rf"\b{key}\b", f"{problem.what} {problem.expected}")), None)
        if named is not None:
            where = document.where(levels[named][1])
            problem = replace(problem, what=f"level {told}: {problem.what}", where=where)
        problems.append(problem)
    return InputError(problems=problems)


def fixed_and_axis(name: str, value: Any, where: str, axis: str) -> InputError:
    """The error of a setting that has a value in the same file where it is an axis.

    Args:
        name: the setting.
        value: its fixed value.
        where: the file and line of the value.
        axis: the file and line of the axis.
    """
    return InputError(
        f"{name} has a fixed value, and is an axis too",
        expected="either a value or an axis",
        found=f"the value {level_text(value)}, and the axis in {axis}",
        where=where,
        fix=f"leave one of the two out; --set 'axes.{name}=[...]' changes the levels of the axis",
    )


def _recipe_file(base: str, location: Location, document: Document) -> Document:
    folder = document.path.parent / "recipes"
    known = known_files("recipes") | {file.stem: file for file in sorted(folder.glob("*.yaml"))}
    if base not in known:
        raise InputError(
            f"unknown recipe {base!r}",
            expected=f"a file in {folder}, or a recipe that comes with the suite",
            found=repr(base),
            where=document.where(location),
            fix=nearest(base, known),
        )
    found = read_document(known[base])
    found.validate(Recipe)
    return found

"""The recipe of a block of a grid: the values of a recipe file, the grid's changes, and the location of each key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from suite.errors import InputError, nearest
from suite.grid.documents import Document, Location, read_document
from suite.grid.recipe import Recipe
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


def named_recipe(values: Mapping[str, Any] | None, location: Location, document: Document) -> NamedRecipe:
    """Build a recipe from the values in a grid file.

    Args:
        values: the changed keys, with the keys `base` (a recipe file's name) and `name`; None if the grid has none.
        location: the location of the values in the grid file.
        document: the grid file.

    Raises:
        InputError: there are no values, the base is unknown, or a value is wrong.
    """
    place = document.where(location)
    if values is None:
        raise InputError(
            "no recipe",
            expected="a recipe's name, or its values",
            found="nothing",
            where=place,
            fix="add, for instance, `recipe: digits`",
        )
    changes = {key: value for key, value in values.items() if key not in ("base", "name")}
    base = values.get("base")
    inherited, places = dict[str, Any](), dict[str, str]()
    if base is not None:
        file = _recipe_file(str(base), location, document)
        inherited, places = file.values, {key: file.where((key,)) for key in file.values}
    recipe = document.validate(Recipe, {**inherited, **changes}, location)
    name = "+".join([str(base or "inline"), *(f"{key}={value}" for key, value in sorted(changes.items()))])
    places |= {key: document.where((*location, key)) for key in changes}
    return NamedRecipe(str(values.get("name", name)), recipe, places, place)


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

"""The reference of the registries: levels with equation and source, families, sizes, recipes and grids."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from benchmarks.documents import markdown
from documentation.schemas import code, escaped, fields
from suite.data.datasets import DATASETS
from suite.grid.documents import load_document
from suite.grid.grid import load_grid
from suite.grid.losses import LOSSES
from suite.grid.recipe import Recipe
from suite.grid.shipped import known_files
from suite.models.architectures import ARCHITECTURES, FAMILIES
from suite.models.joins import JOINS
from suite.models.norms import NORMS
from suite.models.positions import POSITIONS
from suite.models.sizes import Size

PAGE = """# Levels, recipes and grids

What a grid can name on each of its axes, and the recipes and grids that the package has. `lape ls KIND` prints the
same lists. A method file adds levels of your own ([bring_your_own.md](../bring_your_own.md)).

## Joining methods

How a position embedding enters the blocks: `axes: join:`. ω is the position embedding, x_l the tokens before block l,
and LN_x the LayerNorm of the block. The functions are in [joins.py](../../suite/models/joins.py).

{joins}

## Position embeddings

`axes: pe:`. The site says where a level acts. [positions.md](../positions.md) explains the symbols, what happens to
class tokens, and the costs.

{positions}

## Norms

`axes: norm:`. A norm replaces LayerNorm in all blocks but the last two, and every BatchNorm of a convolutional
network. [methods.md](../methods.md) explains the symbols.

{norms}

## Losses

`axes: loss:`. [methods.md](../methods.md#losses) explains the symbols.

{losses}

## Data sets

`axes: dataset:`. `lape data prepare NAME` prepares one. [grids.md](../grids.md#your-own-images) describes how to use
your own images.

{datasets}

## Architectures

`axes: arch:`. A name stands for a family at its published size. A grid declares other sizes under `architectures:`.

{architectures}

## Families

What `family:` can be under `architectures:`.

{families}

## Sizes

The other keys under `architectures:`, and the families that have them. A named family has defaults for some of those
that are required.

{sizes}

## Recipes

`recipe:` of a grid. [recipe.md](recipe.md) lists all keys.

{recipes}

## Grids

Every command that takes a grid finds these by name.

{grids}
"""


def levels() -> str:
    """Return the page."""
    return PAGE.format(
        joins=_table(("level", "equation", "source"), ([code(n), one.summary, one.source] for n, one in JOINS.items())),
        positions=_table(("level", "is", "equation", "site", "source"), _positions()),
        norms=_with_equations(NORMS),
        losses=_with_equations(LOSSES),
        datasets=_listed(DATASETS, "is"),
        architectures=_listed(ARCHITECTURES, "family and sizes"),
        families=_listed(FAMILIES, "is"),
        sizes=_table(("key", "type", "default", "meaning", "families"), _sizes()),
        recipes=_table(("recipe", "epochs", "batch size", "peak learning rate", "training images"), _recipes()),
        grids=_table(("grid", "what it asks"), _grids()),
    )


def _table(heads: Sequence[str], lines: Iterable[list[str]]) -> str:
    return markdown(heads, map(escaped, lines), ":--")


def _listed(known: Mapping[str, Any], head: str) -> str:
    lines = ([code(name), one.summary, one.source] for name, one in known.items())
    return _table(("name", head, "source"), lines)


def _with_equations(known: Mapping[str, Any]) -> str:
    lines = ([code(name), one.summary, one.equation, one.source] for name, one in known.items())
    return _table(("level", "is", "equation", "source"), lines)


def _positions() -> Iterator[list[str]]:
    for name, one in POSITIONS.items():
        yield [code(name), one.summary, one.equation, ", ".join(map(code, one.sites)), one.source]


def _sizes() -> list[list[str]]:
    """The keys of all families' sizes; what several families describe alike is one line."""
    found: dict[tuple[str, ...], list[str]] = {}
    for family in FAMILIES.values():
        for line in fields(family.size.model_json_schema()):
            found.setdefault(tuple(line), []).append(code(family.name))
    transformers = [code(name) for name, family in FAMILIES.items() if issubclass(family.size, Size)]
    return [[*line, _families(names, transformers)] for line, names in found.items()]


def _families(names: list[str], transformers: list[str]) -> str:
    others = [name for name in transformers if name not in names]
    if len(others) > 1 or not set(names) <= set(transformers):
        return ", ".join(names)
    return "all transformers" + (f" but {others[0]}" if others else "")


def _recipes() -> Iterator[list[str]]:
    for name, path in known_files("recipes").items():
        recipe = load_document(path, Recipe)
        images = "all" if recipe.train_images is None else f"{recipe.train_images:,}"
        yield [code(name), str(recipe.total_epochs), str(recipe.batch_size), f"{recipe.lr:g}", images]


def _grids() -> Iterator[list[str]]:
    for path in known_files().values():
        grid = load_grid(path)
        yield [code(grid.name), grid.file.description]

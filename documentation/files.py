"""The reference of the files: the keys of recipes, grid files and claim files, and the fields of records."""

from __future__ import annotations

from pydantic import BaseModel

from documentation.schemas import field_table
from suite.data.corruptions.settings import Corruptions
from suite.grid.budget import Budget
from suite.grid.recipe import Recipe
from suite.grid.scenes import Scenes
from suite.grid.schema import Block, Choose, Exclude, Expected, GridFile, Interactions
from suite.store.record import Environment, Epoch, RunRecord
from suite.verdict.claims.claim import Claim, ClaimedContrast, ReferenceErrors
from suite.verdict.claims.published import Statement, Value
from suite.verdict.claims.schema import ClaimFile, Rule, Sides

RECIPE = """# Recipe keys

A recipe is a YAML file in `grids/recipes/`, or stands under `recipe:` in a grid, where `base:` names the recipe that
it changes. Unless it says otherwise, the optimiser is AdamW and the learning rate follows a cosine. A value that has no
effect, such as `erase_mode` without `erase_prob`, is refused: it would give the same training run another id.
Any key but `version` can be an axis of a grid ([settings.md](../settings.md)).

{recipe}

## corruptions

{corruptions}

## scenes

{scenes}
"""

GRID = """# Keys of a grid file

A grid file says which trials there are. [grids.md](../grids.md) has an example. Unknown keys are refused, with file
and line.

{grid}

## Axes

`axes:` has a list of levels for each of `arch`, `pe`, `join`, `norm`, `loss` and `dataset`. Only `norm` and `loss`
may be left out: then they are `ln` and `default`. [levels.md](levels.md) lists the levels. `recipe.KEY` and
`size.KEY` are axes too, and `zip` ties several of them ([settings.md](../settings.md)).

## exclude

{exclude}

## blocks

{block}

## budget

{budget}

## expect

{expected}

## interactions

{interactions}

## choose

{choose}
"""

CLAIMS = """# Keys of a claim file

A claim file holds published values, and the claims about them. [claims.md](../claims.md) explains how to write one. A
key at the top of the file holds for all values and claims that don't have it themselves.

{file}

## test

How the claims are tested, fixed before any run. A claim may have the same keys.

{rule}

## values

{value}

## claims

A claim names two values, or has a contrast and a gain of its own.

{sides}

{claim}

## contrast

{contrast}

## reference

The errors that `mce` is relative to ([robustness.md](../robustness.md)).

{reference}

## stated

What the paper states elsewhere about its values. `lape check` recomputes it.

{statement}
"""

RECORD = """# Fields of a record

Each line of `results/GRID/runs.jsonl` is the record of one training run, as strict JSON. A number that a failed run
doesn't have is null, never zero. [reading.md](../tutorials/reading.md) shows how to read records. Older records are
migrated when they are read; this is version {version}.

{record}

## environment

{environment}

## history

An object for each epoch. `runs.jsonl` has none: they are in `history.parquet`, which `suite.store.load_history`
reads.

{epoch}
"""


def recipe() -> str:
    """Return the page on recipe keys."""
    return RECIPE.format(recipe=_table(Recipe), corruptions=_table(Corruptions), scenes=_table(Scenes))


def grid() -> str:
    """Return the page on grid files."""
    parts: dict[str, type[BaseModel]] = {
        "grid": GridFile,
        "exclude": Exclude,
        "block": Block,
        "budget": Budget,
        "expected": Expected,
        "interactions": Interactions,
        "choose": Choose,
    }
    return GRID.format(**{name: _table(part) for name, part in parts.items()})


def claims() -> str:
    """Return the page on claim files."""
    parts: dict[str, type[BaseModel]] = {
        "file": ClaimFile,
        "rule": Rule,
        "value": Value,
        "sides": Sides,
        "claim": Claim,
        "reference": ReferenceErrors,
    }
    tables = {name: _table(part) for name, part in parts.items()}
    return CLAIMS.format(contrast=_table(ClaimedContrast), statement=_table(Statement), **tables)


def record() -> str:
    """Return the page on records."""
    version = RunRecord.model_fields["schema_version"].default
    parts: dict[str, type[BaseModel]] = {"record": RunRecord, "environment": Environment, "epoch": Epoch}
    return RECORD.format(version=version, **{name: _table(part) for name, part in parts.items()})


def _table(model: type[BaseModel]) -> str:
    return field_table(model.model_json_schema())

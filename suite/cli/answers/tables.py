"""The answer of `lape tables --json`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from suite.cli.answers.answer import Part
from suite.report.tables.table import Table


class TablePart(Part):
    """A table, with its unrounded numbers."""

    name: str = Field(description="summary; effects, sums: of combined methods; else a table of a paper")
    caption: str
    fields: list[str] = Field(description="the keys of the records, in their order")
    records: list[dict[str, str | int | float | None]] = Field(
        description="a row each; accuracies are percent, gains percentage points; null: missing"
    )
    notes: list[str]


class TablesAnswer(Part):
    """The tables of a grid, as they are written beside the report."""

    format: Literal["lape/tables/1"] = "lape/tables/1"
    grid: str
    budget: str = Field(description="in what the grid is smaller than the paper's experiment; empty: it isn't")
    runs: int = Field(description="stored runs of this grid's trials")
    tables: list[TablePart]
    files: list[str] = Field(description="the files that were written")


def tables_answer(grid: str, budget: str, runs: int, tables: Iterable[Table], files: Sequence[Path]) -> TablesAnswer:
    """The answer for these tables."""
    parts = [
        TablePart(
            name=table.name,
            caption=table.caption,
            fields=list(table.fields),
            records=[{key: _plain(record.get(key)) for key in table.fields} for record in table.records],
            notes=[*table.below, *table.notes],
        )
        for table in tables
    ]
    return TablesAnswer(grid=grid, budget=budget, runs=runs, tables=parts, files=list(map(str, files)))


def _plain(value: object) -> str | int | float | None:
    return value if value is None or isinstance(value, (str, int, float)) else str(value)

"""A table of text with its notes, and the same numbers unrounded. `suite.report.tables.render` shows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

NONE = "–"  # what a missing number prints as


@dataclass(frozen=True)
class Column:
    """A column and how each medium shows it.

    Args:
        name: identifies the column within its table.
        head: its heading.
        text: whether it holds words, aligned to the left; numbers are aligned to the right.
        above: a second heading over this column and its neighbours that share it.
        css: the class of its cells in HTML, beside `text` or `number`.
        group: whether the column only says which group a row belongs to (see `Table.layout`).
        constant: whether a value that all rows share is told once, in the caption.
        terminal: whether a terminal shows the column: always, only if it is wide enough, or never.
        terminal_head: the heading in a terminal, if it is another one.
        wraps: whether a terminal may break its cells over several lines.
        least: to how many characters a terminal may fold it.
        interval: whether a narrow terminal leaves out what follows a cell's first space.
    """

    name: str
    head: str
    text: bool = False
    above: str = ""
    css: str = ""
    group: bool = False
    constant: bool = False
    terminal: Literal["always", "wide", "never"] = "always"
    terminal_head: str | None = None
    wraps: bool = False
    least: int | None = None
    interval: bool = False


@dataclass(frozen=True)
class Table:
    """A table that every medium is made of.

    Args:
        name: the name of its files, without a suffix.
        caption: the caption; empty for none.
        columns: the columns, in their order.
        rows: the text of each cell.
        records: the numbers of CSV, unrounded; `fields` is the header.
        fields: the names of the records' columns.
        below: paragraphs below the table.
        notes: footnotes below the paragraphs, numbered from 1. Cells of the column "notes" refer to them.
        legend: a paragraph of `below` that a terminal leaves out.
        layout: how groups of rows are shown. "groups": HTML heads each group by a row of its own, and a terminal
            doesn't repeat a group's name. "bands": HTML repeats the names, and a terminal heads each group by a line.
        page_order: names of columns, in the order that HTML shows them; empty for the order of `columns`.
    """

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    records: tuple[Mapping[str, Any], ...]
    fields: tuple[str, ...]
    below: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    legend: str = ""
    layout: Literal["groups", "bands"] = "groups"
    page_order: tuple[str, ...] = ()

    def column(self, place: int) -> list[str]:
        """The texts of one column."""
        return [row[place] for row in self.rows]

    @property
    def constants(self) -> tuple[int, ...]:
        """The places of the columns that are told once, in the caption."""
        return tuple(
            place for place, column in enumerate(self.columns) if column.constant and len(set(self.column(place))) == 1
        )

    @property
    def title(self) -> str:
        """The caption; without one, what all rows share."""
        return self.caption or ", ".join(self.rows[0][place] for place in self.constants)


def number_notes(notes: Iterable[str]) -> dict[str, int]:
    """Each distinct note with its number, from 1, in order of appearance."""
    return {note: number for number, note in enumerate(dict.fromkeys(notes), 1)}


def marks(numbers: Mapping[str, int], notes: Iterable[str]) -> str:
    """The numbers of a row's notes: 1, 3."""
    return ", ".join(str(number) for number in sorted({numbers[note] for note in notes}))


def budget_note(budget: str) -> list[str]:
    """That the runs are at a smaller budget than the paper's, and in what; nothing without one."""
    return [f"Another budget than the paper's: {budget}."] if budget else []


def numbered(below: Sequence[str], notes: Sequence[str]) -> list[str]:
    """What stands below a table: paragraphs, and then its notes, from [1] on."""
    return [*below, *(f"[{number}] {note}" for number, note in enumerate(notes, 1))]

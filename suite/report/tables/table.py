"""A table: the text of its cells, its notes, and its unrounded numbers. `render` and `terminal` render it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

NONE = "–"  # the text of a missing number


@dataclass(frozen=True)
class Column:
    """A column, and how each output format shows it.

    Args:
        name: identifies the column within its table.
        head: its heading.
        text: whether it holds words, aligned to the left; numbers are aligned to the right.
        above: a second heading over this column and its neighbours that share it.
        css: the class of its cells in HTML, beside `text` or `number`.
        group: whether the column only says which group a row belongs to (see `Table.layout`).
        constant: whether a value that all rows share is shown once, in the caption.
        terminal: whether a terminal shows the column: always, only if it is wide enough, or never.
        terminal_head: the heading in a terminal, if it differs.
        wraps: whether a terminal may break its cells over several lines.
        least: the smallest width, in characters, to which a terminal may fold it.
        parts: what separates the parts of a cell, such as "+"; a narrow terminal leaves out what all rows share. Empty:
            cells have no parts.
        interval: whether the cells have an interval after the first space, which a narrow terminal leaves out.
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
    parts: str = ""


@dataclass(frozen=True)
class Table:
    """A table, independent of the output format.

    Args:
        name: the name of its files, without a suffix.
        caption: the caption; empty for none.
        columns: the columns, in their order.
        rows: the text of each cell.
        records: the unrounded values, for CSV; `fields` is the header.
        fields: the names of the records' columns.
        below: paragraphs below the table.
        notes: footnotes below the paragraphs, numbered from 1. Cells of the column "notes" refer to them.
        legend: a paragraph of `below` that a terminal leaves out.
        layout: how groups of rows are shown. "groups": in HTML each group has a heading row, and a terminal doesn't
            repeat a group's name. "bands": HTML repeats the names, and in a terminal each group has a heading line.
        page_order: the names of the columns in the order of the HTML page; empty for the order of `columns`.
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
        """The indices of the columns whose value is shown once, in the caption."""
        return tuple(
            place for place, column in enumerate(self.columns) if column.constant and len(set(self.column(place))) == 1
        )

    @property
    def title(self) -> str:
        """The caption; if it is empty, the values that all rows share."""
        return self.caption or ", ".join(self.rows[0][place] for place in self.constants)


def number_notes(notes: Iterable[str]) -> dict[str, int]:
    """Number the distinct notes from 1, in order of appearance."""
    return {note: number for number, note in enumerate(dict.fromkeys(notes), 1)}


def marks(numbers: Mapping[str, int], notes: Iterable[str]) -> str:
    """The numbers of a row's notes as text, such as "1, 3"."""
    return ", ".join(str(number) for number in sorted({numbers[note] for note in notes}))


def budget_note(budget: str) -> list[str]:
    """The paragraph that says how the runs' budget is smaller than the paper's; an empty list if it isn't.

    `budget` describes what is smaller.
    """
    return [f"Another budget than the paper's: {budget}."] if budget else []


def numbered(below: Sequence[str], notes: Sequence[str]) -> list[str]:
    """The text below a table: the paragraphs, then the notes, numbered from [1]."""
    return [*below, *(f"[{number}] {note}" for number, note in enumerate(notes, 1))]

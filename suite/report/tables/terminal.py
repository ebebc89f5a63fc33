"""Tables for a terminal. What doesn't fit is left out or wrapped, step by step. Numbers are never cut."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from suite.report.tables.table import NONE, Column, Table, numbered

if TYPE_CHECKING:
    from rich.table import Table as RichTable

_WORD = 6  # characters to which a name may be folded
FULL_WIDTH = 100  # terminal width, in characters, that shows the complete table

Rows = Sequence[Sequence[str]]


def to_terminal(table: Table, width: int = FULL_WIDTH) -> RichTable:
    """The table for a terminal that is `width` characters wide.

    If the complete table doesn't fit, these are left out until it does, in this order: parts of names that all rows
    share, columns for wide terminals, and intervals. If that isn't enough, names are wrapped.
    """
    from rich.text import Text  # brackets in a `Text` aren't read as markup

    columns = table.columns
    group = [place for place, column in enumerate(columns) if column.group]
    outside = {*table.constants, *(group if table.layout == "bands" else ())}
    outside |= {place for place, column in enumerate(columns) if column.terminal == "never"}
    heads = [column.head if column.terminal_head is None else column.terminal_head for column in columns]
    told = numbered([text for text in table.below if text != table.legend], table.notes)
    shown = [place for place in range(len(columns)) if place not in outside]

    rows: Rows = table.rows
    if _width(heads, rows, shown) > width:
        rows, shared = _what_differs(table, shown)
        told = [*shared, *told]
    if width < max(FULL_WIDTH, _width(heads, rows, shown)):
        shown = [place for place in shown if columns[place].terminal != "wide"]
    needed, widths = _width(heads, rows, shown), _widths(heads, rows)
    # The least width of the columns that have one, because they may be wrapped.
    folds = {place: min(least, widths[place]) for place in shown if (least := columns[place].least) is not None}
    folded = sum(widths[place] - least for place, least in folds.items()) if width >= FULL_WIDTH else 0
    short = {place for place in shown if columns[place].interval} if width < needed - folded else set()
    whole = rows
    if short:
        told.append(f"The 95 % intervals of the gains take {needed} columns, or stand in the report.")
        heads, *rows = ([_first_word(text, place in short) for place, text in enumerate(row)] for row in (heads, *rows))
    gap, widths = 1 if short else 2, _widths(heads, rows)
    wrapped = {place: folds.get(place, min(_WORD, widths[place])) for place in shown if columns[place].wraps}
    tight = _together([wrapped.get(place, widths[place]) for place in shown], gap) > width
    fixed = _tight_widths(heads, rows, shown, table.columns, width) if tight else {}

    found = open_table(table.title if table.rows else "", "\n".join(told), narrow=bool(short) or tight)
    for place in shown:
        column = columns[place]
        found.add_column(
            Text(heads[place]),
            justify="left" if column.text else "right",
            overflow="fold",
            no_wrap=not (column.wraps or tight),
            min_width=folds.get(place),
            width=fixed.get(place),
        )
    above: list[str] = []
    for row, complete in zip(rows, whole, strict=True):
        its = [row[place] for place in group]
        # The name of a group is shown only in its first row, so that groups are easy to see.
        repeated: Collection[int] = group if its == above else ()
        if table.layout == "bands" and its != above:
            found.add_row(Text(" · ".join(its), style="bold"))
        styles = {place: _gain_style(complete[place]) for place in shown if columns[place].interval}
        found.add_row(*(Text("" if place in repeated else row[place], styles.get(place, "")) for place in shown))
        above = its
    return found


def _widths(heads: Sequence[str], rows: Rows) -> list[int]:
    """The width of each column, in characters."""
    from rich.cells import cell_len

    return [max(map(cell_len, texts)) for texts in zip(heads, *rows, strict=True)]


def _width(heads: Sequence[str], rows: Rows, shown: Sequence[int]) -> int:
    """The width of the shown columns together, with two characters between them."""
    widths = _widths(heads, rows)
    return _together([widths[place] for place in shown], gap=2)


def _together(widths: Collection[int], gap: int) -> int:
    return sum(widths) + gap * (len(widths) - 1)


def _tight_widths(
    heads: Sequence[str], rows: Rows, shown: Sequence[int], columns: Sequence[Column], width: int
) -> dict[int, int]:
    """The widths of columns with one character between them, so that they fit into `width` characters if they can.

    Headings and names are wrapped, the longest names most. Each number keeps its width.
    """
    longest_words = [max(head.split(), key=len, default="") for head in heads]
    least = _widths(longest_words, rows)
    found = {place: least[place] for place in shown}
    names = [place for place in shown if columns[place].text]
    while names and _together(found.values(), gap=1) > width:
        longest = max(names, key=found.__getitem__)
        if found[longest] <= _WORD:
            break
        found[longest] -= 1
    return found


def _what_differs(table: Table, shown: Sequence[int]) -> tuple[list[list[str]], list[str]]:
    """The rows without the parts of names that all rows share, and these parts in words, for each such column."""
    rows, told = [list(row) for row in table.rows], []
    for place in (place for place in shown if rows and table.columns[place].parts):
        column = table.columns[place]
        parts = [row[place].split(column.parts) for row in rows]
        shared = [part for part in parts[0] if all(part in its for its in parts)]
        if not shared:
            continue
        told.append(f"{column.head}: what all rows share is {column.parts.join(shared)}.")
        for row, its in zip(rows, parts, strict=True):
            row[place] = column.parts.join(part for part in its if part not in shared) or NONE
    return rows, told


def _first_word(text: str, shorten: bool) -> str:
    return text.partition(" ")[0] if shorten else text


def _gain_style(text: str) -> str:
    """The colour of a gain whose interval lies on one side of zero; no colour otherwise."""
    ends = re.search(r"\[([+−]).*, ([+−])", text)
    return {"++": "green", "−−": "red"}.get("".join(ends.groups()), "") if ends else ""


def open_table(title: str, caption: str, *, narrow: bool = False) -> RichTable:
    """An empty table for a terminal, in the common style.

    Args:
        title: the text above the table.
        caption: the text below it.
        narrow: whether to save space between the columns.
    """
    from rich import box
    from rich.table import Table as Rich
    from rich.text import Text

    return Rich(
        title=Text(title) if title else None,
        caption=Text(caption) if caption else None,
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 0 if narrow else 1, 0, 0),
    )

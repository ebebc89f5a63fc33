"""The console that commands print to."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from suite.store.files import write_atomic

Record = dict[str, str | int | float | None]
WIDTH = 150  # columns of the tables where the output is no terminal
COLOURS = {"confirmed": "green", "direction_only": "cyan", "inconclusive": "yellow", "contradicted": "red"}
SHOWN = 20  # dropped cells, failures: more of them are counted, and stand in the report


def put(console: Console, table: Table, records: Sequence[Record], target: str | None) -> None:
    """Print the table, or the CSV in its place; write the CSV where it is to go."""
    if target == "-":
        print(_csv(records), end="")
        return
    console.print(table)
    if target is not None:
        write_atomic(Path(target), _csv(records).encode())
        console.print(target, highlight=False, markup=False, soft_wrap=True)


def _csv(records: Sequence[Record]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(records[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()


def open_console(width: int = 100) -> Console:
    """The terminal; where the output goes elsewhere, so many columns."""
    console = Console()
    return console if console.is_terminal else Console(width=width)


def shown(path: Path) -> str:
    """A path as short as it can be said here."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def print_line(console: Console, text: str) -> None:
    """A line as it is: no markup, no highlighting, no wrapping."""
    console.print(text, highlight=False, markup=False, soft_wrap=True)

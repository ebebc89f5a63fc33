"""The console that commands print to, and their CSV."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table

from suite.store.files import write_atomic
from suite.text import csv_text, printable, say

Record = dict[str, str | int | float | None]
WIDTH = 150  # columns of tables where the output is no terminal
COLOURS = {
    "confirmed": "green",
    "direction_only": "cyan",
    "inconclusive": "yellow",
    "contradicted": "red",
    "gain_here": "cyan",
    "opposite_here": "magenta",
    "no_gain_here": "magenta",
    "open": "yellow",
}
SHOWN = 20  # dropped cells or failures that are listed; the rest are counted, and listed in the report


def put(console: Console, table: Table, records: Sequence[Record], target: str | None) -> None:
    """Print the table. With a `target`, write its records there as CSV, too; with '-', print the CSV instead."""
    if target == "-":
        say(csv_text(records), end="")
        return
    console.print(table)
    if target is not None:
        write_atomic(Path(target), csv_text(records).encode())
        console.print(target, highlight=False, markup=False, soft_wrap=True)


class SafeConsole(Console):
    """A console whose texts can't steer the terminal: records and claims may be a stranger's.

    What rich itself sends to the terminal, such as colours and a progress bar's moves, isn't text and stays.
    """

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """See `rich.console.Console.render`."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(printable(segment.text), segment.style)


def open_console(width: int = 100, *, stderr: bool = False) -> Console:
    """A console on standard output, or on standard error; `width` columns wide where that is no terminal."""
    console = SafeConsole(stderr=stderr)
    return console if console.is_terminal else SafeConsole(width=width, stderr=stderr)


def shown(path: Path) -> str:
    """A path, relative to the working folder if it lies in it."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def print_line(console: Console, text: str) -> None:
    """Print a line without markup, highlighting or wrapping."""
    console.print(text, highlight=False, markup=False, soft_wrap=True)

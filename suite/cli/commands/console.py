"""Console and CSV output of the commands."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from suite.store.files import write_atomic
from suite.text import csv_text, printable, say

Record = dict[str, str | int | float | None]
WIDTH = 150  # columns of a table if the output isn't a terminal
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
# What `lit` sets in which style: states of trials, the first word of a line of a plan, and commands to type.
_STYLES = {
    r"\b[1-9]\d* (failed|lost|diverged|error|timeout|oom)\b": "bold red",
    r"\b[1-9]\d*(/\d+)? done\b": "green",
    r"\b[1-9]\d* (to do|dropped|stale)\b": "yellow",
    r"\b[1-9]\d* running\b": "cyan",
    r"(?m)^  [a-z]+( once)?(?=  )": "bold",
    r"`lape [^`]+`": "bold",
}
SHOWN = 20  # the most dropped cells or failures that are listed; the report lists all of them


def put(console: Console, table: Table, records: Sequence[Record], target: str | None) -> None:
    """Print a table, and write its records as CSV.

    Args:
        console: where the table is printed.
        table: the table.
        records: its rows, for the CSV.
        target: the CSV file; None: no CSV; "-": print the CSV instead of the table.
    """
    if target == "-":
        say(csv_text(records), end="")
        return
    console.print(table)
    if target is not None:
        write_atomic(Path(target), csv_text(records).encode())
        console.print(target, highlight=False, markup=False, soft_wrap=True)


class SafeConsole(Console):
    """A console that removes terminal control sequences from texts, since records may come from untrusted sources.

    rich's own control output, such as colours and the cursor movements of a progress bar, is kept.
    """

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render as `rich.console.Console.render` does, with unprintable characters replaced."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(printable(segment.text), segment.style)


def open_console(width: int = 100, *, stderr: bool = False) -> Console:
    """Open a console on standard output or standard error.

    If that isn't a terminal, it has as many columns as the variable COLUMNS says, or `width` columns without it.
    """
    console = SafeConsole(stderr=stderr)
    if console.is_terminal or os.environ.get("COLUMNS", "").isdecimal():  # rich reads the variable itself
        return console
    return SafeConsole(width=width, stderr=stderr)


def shown(path: Path) -> str:
    """Return a path as text, relative to the working folder if it is inside."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def lit(text: str) -> Text:
    """The text with its label, its counts of trials and its commands in colour, where there is colour."""
    found = Text(text)
    for pattern, style in _STYLES.items():
        found.highlight_regex(pattern, style)
    return found


def print_line(console: Console, text: str) -> None:
    """Print a line without markup or wrapping; on a terminal its counts and commands are in colour."""
    console.print(lit(text), soft_wrap=True)

"""The entry point of the command line: all commands, and what becomes of their errors."""

from __future__ import annotations

import codecs
import io
import os
import sys

import typer

from suite.cli.declarations import data, grids, models, results, running
from suite.errors import InputError
from suite.text import plain

app = typer.Typer(
    name="lape",
    help="Does a published vision-transformer trick hold up? Paired grids, tables, and a verdict on each claim.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for _part in (grids, running, results, models, data):
    app.add_typer(_part.commands)
app.add_typer(data.data_commands, name="data")

INTERRUPTED = 130
BROKEN_PIPE = 141  # what a shell says of a command whose reader has gone, such as `head`


def main() -> None:
    """The entry point: bad input is one message and exit code 2, Ctrl-C is 130, neither has a traceback."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal or a file whose encoding has no ±
        codecs.register_error("lape", plain)
        sys.stdout.reconfigure(errors="lape")
    try:
        try:
            app()
        finally:
            sys.stdout.flush()  # now, where its failure can be told; at exit it would be a traceback
    except InputError as error:
        _say(f"error: {error}")
        sys.exit(2)
    except SystemExit as stop:
        if isinstance(stop.__context__, BrokenPipeError):  # typer and rich exit with 1, which has other meanings here
            sys.exit(BROKEN_PIPE)
        if stop.code == INTERRUPTED:  # typer's answer to Ctrl-C
            _say("stopped; what had finished is stored, and the same command goes on from there")
        raise
    except OSError as error:
        # What is still in the buffer of the output can't be written either, and Python would try at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            sys.exit(BROKEN_PIPE)
        _say(f"error: {_system_error(error)}")
        sys.exit(2)


def _system_error(error: OSError) -> InputError:
    return InputError(
        "the system refused to read or write",
        expected="a file or an output that can be used",
        found=error.strerror or str(error),
        where=str(error.filename or "the output of this command"),
        fix="free space, change permissions or give another place, and run the same command again",
    )


def _say(message: str) -> None:
    print(message, file=sys.stderr)

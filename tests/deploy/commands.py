"""Whether a command line in a script, manifest or page is one that `lape` takes: parsed, not run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import typer

from suite.cli import app


def parse_lape(words: Sequence[str]) -> dict[str, Any]:
    """The values of a `lape` command's parameters. Raises click's UsageError if `lape` would refuse it."""
    assert words[0] == "lape", words
    command: Any = typer.main.get_command(app)
    context, rest = None, list(words[1:])
    while hasattr(command, "commands"):
        context = command.make_context(command.name, [rest[0], "--help"], parent=context, resilient_parsing=True)
        command, rest = command.commands[rest[0]], rest[1:]
    return dict(command.make_context(command.name, rest, parent=context).params)

"""The reference of the command line, made from the declarations of `suite.cli`."""

from __future__ import annotations

import re
from collections.abc import Iterator

import typer.main
from typer.core import TyperCommand, TyperGroup

from benchmarks.documents import markdown
from documentation.schemas import code, escaped
from suite.cli.main import app

HEAD = """# Command line

Every command of `lape` with its arguments and options, as `lape COMMAND --help` prints them.
[programs.md](../programs.md) has the exit codes, and what `--json` prints. [commands.md](../commands.md) says in a
line each what the commands are for.
"""
# The default, the bounds or the environment variable, at the end of a help text.
_NOTE = re.compile(r"\s*\[([^\[\]]*)\]$")


def command_line() -> str:
    """Return the page."""
    root = typer.main.get_command(app)
    return "\n".join([HEAD, *(_section(path, command) for path, command in leaves("lape", root))])


def leaves(path: str, command: object) -> Iterator[tuple[str, TyperCommand]]:
    """Yield each command that does something, with its path such as "lape data prepare"."""
    if isinstance(command, TyperGroup):
        for name, inner in command.commands.items():
            yield from leaves(f"{path} {name}", inner)
    elif isinstance(command, TyperCommand):
        yield path, command


def _section(path: str, command: TyperCommand) -> str:
    context = command.make_context(path, [], resilient_parsing=True)
    usage = " ".join([path, *command.collect_usage_pieces(context)])
    parts = [f"## {path}", f"```text\n{usage}\n```", _paragraphs(command.help or "")]
    told = [record for one in command.params if (record := one.get_help_record(context)) is not None]
    if told:
        parts.append(markdown(("argument or option", "meaning", "default and limits"), map(_line, told), ":--"))
    return "\n\n".join(parts) + "\n"


def _line(record: tuple[str, str]) -> list[str]:
    name, text = record
    notes: list[str] = []
    while found := _NOTE.search(text):
        text = text[: found.start()]
        notes.insert(0, found[1].removeprefix("default: ").replace(">=", " ≥ ").replace("<=", " ≤ "))
    return escaped([code(name), text, "; ".join(notes)])


def _paragraphs(text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in re.split(r"\n\s*\n", text))

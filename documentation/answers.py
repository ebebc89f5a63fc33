"""The reference of what commands print with `--json`, made from the JSON Schemas of `suite/cli/schemas`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.documents import markdown
from documentation.schemas import code, escaped, fields
from suite.cli.answers.schemas import ANSWERS, schema_file

HEAD = """# Answers in JSON

What the commands print with `--json`, key by key. [programs.md](../programs.md) explains how to use it, and has the
exit codes. A program should ignore keys that it doesn't know. Each table is of one object; the parts of an answer
follow it under their names.
"""
COMMANDS = {"error": "any command, with exit code 2", "verify-static": "lape verify --static --json"}


def answers() -> str:
    """Return the page."""
    return "\n".join([HEAD, *map(_section, ANSWERS)])


def _section(name: str) -> str:
    schema = json.loads(schema_file(name).read_text(encoding="utf-8"))
    link = f"[{name}.schema.json](../../suite/cli/schemas/{name}.schema.json)"
    parts = [f"## {name}", f"Printed by {_command(name)}. Schema: {link}.", schema["description"]]
    if schema.get("type") == "array":
        parts.append(f"An array of {code(_name(schema['items']['$ref']))}.")
    if "oneOf" in schema:
        kinds = ", ".join(code(_name(one["$ref"])) for one in schema["oneOf"])
        parts.append(f"Each line is one of these events: {kinds}. The key `event` says which.")
    if schema.get("properties"):
        parts.append(_table(schema))
    return "\n\n".join([*parts, *_parts(name, schema)]) + "\n"


def _command(name: str) -> str:
    return COMMANDS[name] if name == "error" else code(COMMANDS.get(name, f"lape {name} --json"))


def _parts(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    for title, part in schema.get("$defs", {}).items():
        yield f"### {name}: {title.removesuffix('Part')}"
        if text := part.get("description"):
            yield text
        yield _table(part)


def _name(reference: str) -> str:
    return reference.rpartition("/")[2].removesuffix("Part")


def _table(schema: Mapping[str, Any]) -> str:
    lines = ([name, kind, meaning] for name, kind, _, meaning in fields(schema))
    return markdown(("key", "type", "meaning"), map(escaped, lines), ":--")

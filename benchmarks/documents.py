"""Documents whose tables are made from figures."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any


def filled(document: str, tables: Mapping[str, str]) -> str:
    """The document with its tables made anew, each between a comment with its name and one that says `end`."""
    block = re.compile(rf"(<!-- ({'|'.join(tables)}) -->\n).*?(<!-- end -->)", re.DOTALL)
    return block.sub(lambda found: f"{found[1]}\n{tables[found[2]]}\n\n{found[3]}", document)


def markdown(heads: Sequence[str], lines: Iterable[Sequence[str]], align: str = "--:") -> str:
    """A table in Markdown. align: of all columns."""
    return "\n".join(f"| {' | '.join(line)} |" for line in (heads, [align] * len(heads), *lines))


def percent(share: float) -> str:
    """As a table has it."""
    return f"{100 * share:.1f} %"


def fill(document: Path, tables: Mapping[str, str]) -> None:
    """Make a document's tables anew."""
    document.write_text(filled(document.read_text(encoding="utf-8"), tables), encoding="utf-8")


def read_figures(path: Path) -> dict[str, Any]:
    """What `write_figures` wrote; nothing where there is no file yet."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


def write_figures(path: Path, figures: Mapping[str, Any]) -> None:
    """Write what tables are made from, as JSON."""
    path.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def add_parts(parser: argparse.ArgumentParser, parts: Iterable[str]) -> None:
    """Let a command take the names of the parts to measure: see `chosen_parts`."""
    # A list as default would itself be looked for among the choices.
    choices = [*parts, "tables", "all"]
    parser.add_argument("names", nargs="*", choices=choices, default="all", help="parts; tables: none of them")


def chosen_parts(names: Sequence[str], parts: Iterable[str]) -> list[str]:
    """Those of the parts that were named, or all."""
    return [part for part in parts if part in names or "all" in names]

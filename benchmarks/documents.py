"""Fills the tables of Markdown documents from measured figures."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any


def filled(document: str, tables: Mapping[str, str]) -> str:
    """Return the document with its tables replaced. Each is between a comment with its name and a comment `end`."""
    block = re.compile(rf"(<!-- ({'|'.join(tables)}) -->\n).*?(<!-- end -->)", re.DOTALL)
    return block.sub(lambda found: f"{found[1]}\n{tables[found[2]]}\n\n{found[3]}", document)


def markdown(heads: Sequence[str], lines: Iterable[Sequence[str]], align: str = "--:") -> str:
    """Format a table in Markdown.

    Args:
        heads: the column heads.
        lines: the cells of each row.
        align: the alignment of all columns, as in a Markdown delimiter row.
    """
    return "\n".join(f"| {' | '.join(line)} |" for line in (heads, [align] * len(heads), *lines))


def flops_text(flops: float, peak: float) -> str:
    """Return GFLOP/s, and which share of a peak they are; both arguments are floating-point operations per second."""
    return f"{flops / 1e9:.0f} ({100 * flops / peak:.0f} %)"


def percent(share: float) -> str:
    """Format a share as a percentage for a table."""
    return f"{100 * share:.1f} %"


def fill(document: Path, tables: Mapping[str, str]) -> None:
    """Replace the tables in a document's file."""
    document.write_text(filled(document.read_text(encoding="utf-8"), tables), encoding="utf-8")


def read_figures(path: Path) -> dict[str, Any]:
    """Read the figures that `write_figures` wrote; an empty dictionary if there is no file yet."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


def write_figures(path: Path, figures: Mapping[str, Any]) -> None:
    """Write the figures that tables are made from, as JSON."""
    path.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def add_parts(parser: argparse.ArgumentParser, parts: Iterable[str]) -> None:
    """Add an argument for the names of the parts to measure: see `chosen_parts`."""
    # The default can't be a list: argparse would check the list itself against the choices.
    choices = [*parts, "tables", "all"]
    parser.add_argument("names", nargs="*", choices=choices, default="all", help="parts; tables: none of them")


def chosen_parts(names: Sequence[str], parts: Iterable[str]) -> list[str]:
    """Return the named parts, or all of them."""
    return [part for part in parts if part in names or "all" in names]

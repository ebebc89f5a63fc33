"""The reference pages, and what makes each of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from documentation import files
from documentation.answers import answers
from documentation.command_line import command_line
from documentation.levels import levels

REFERENCE = Path(__file__).resolve().parents[1] / "docs" / "reference"
PAGES: Mapping[str, Callable[[], str]] = {
    "command_line.md": command_line,
    "levels.md": levels,
    "recipe.md": files.recipe,
    "grid.md": files.grid,
    "claims.md": files.claims,
    "record.md": files.record,
    "answers.md": answers,
}

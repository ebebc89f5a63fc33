"""The reference pages are what the code says, name every option, and leave no key without a meaning."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from documentation.command_line import leaves
from documentation.pages import PAGES, REFERENCE
from documentation.schemas import field_table
from suite.cli.main import FOR_PROGRAMS
from suite.grid.recipe import Recipe
from tests.conftest import REPOSITORY


@pytest.mark.parametrize("name", PAGES)
def test_each_page_is_what_the_code_says(name: str) -> None:
    assert (REFERENCE / name).read_text(encoding="utf-8") == PAGES[name](), "run: python -m documentation"


def test_no_page_is_left_over() -> None:
    assert {path.name for path in REFERENCE.iterdir()} == set(PAGES)


def test_keys_of_a_recipes_values_are_explained() -> None:
    """A type that has keys of its own, such as that of `pretrained`, is no more than a name in the table."""
    types = Recipe.model_json_schema()["$defs"]
    assert {"Pretrained", "Corruptions"} <= types.keys()
    page = (REFERENCE / "recipe.md").read_text(encoding="utf-8")
    assert [name for name, schema in types.items() if field_table(schema) not in page] == []


def test_every_option_of_the_help_is_named() -> None:
    """By the help text of the program itself, as a user sees it."""
    page = (REFERENCE / "command_line.md").read_text(encoding="utf-8")
    commands = re.findall(r"^## (lape .*)$", page, re.MULTILINE)
    for name in ("run", "bench"):
        told = subprocess.run(
            [sys.executable, "-m", "suite", *name.split(), "--help"], capture_output=True, text=True, check=True
        ).stdout
        section = page.partition(f"\n## lape {name}\n")[2].partition("\n## ")[0]
        options = set(re.findall(r"^ +(--[a-z-]+)", told, re.MULTILINE)) - {"--help"}
        assert options
        assert {option for option in options if not re.search(f"[`>]{option}\\b", section)} == set(), name
    assert {f"lape {name}" for name in FOR_PROGRAMS} < set(commands)


@pytest.mark.parametrize("name", ["recipe.md", "grid.md", "claims.md", "record.md", "levels.md"])
def test_every_key_has_a_meaning(name: str) -> None:
    text = (REFERENCE / name).read_text(encoding="utf-8")
    empty = re.findall(r"^\| (`.+?`) \|.*\|  \|$", text, re.MULTILINE)
    assert "| `" in text
    assert empty == []


def test_the_page_of_commands_has_them_all() -> None:
    import typer.main

    from suite.cli.main import app

    page = (REPOSITORY / "docs" / "commands.md").read_text(encoding="utf-8")
    missing = [path for path, _ in leaves("lape", typer.main.get_command(app)) if f"| `{path}" not in page]
    assert [path for path in missing if f"`{path} " not in page] == []

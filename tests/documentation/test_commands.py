"""Every `lape` command that a page shows is one: its verb exists, and its options are taken."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer.main

from documentation.command_line import leaves
from suite.cli.main import app
from tests.conftest import REPOSITORY
from tests.documentation.commands import PAGES, lape_commands, named_commands

COMMANDS = {path.split(maxsplit=1)[1]: command for path, command in leaves("lape", typer.main.get_command(app))}


def parsed(words: list[str]) -> str:
    """The verb of a command whose arguments are all taken."""
    verb = " ".join(words[:2]) if words[0] == "data" else words[0]
    command, arguments = COMMANDS[verb], words[len(verb.split()) :]
    if "--methods" in arguments and any("--methods" in one.opts for one in command.params):
        place = arguments.index("--methods")  # the file would be loaded
        arguments = arguments[:place] + arguments[place + 2 :]
    command.make_context(f"lape {verb}", arguments)
    return verb


def test_the_commands_of_all_blocks_are_taken() -> None:
    verbs = {parsed(words) for page in PAGES for words in lape_commands(page)}
    assert verbs >= {"check", "plan", "run", "status", "verify", "tables", "report", "merge", "new", "data prepare"}


def test_a_wrong_option_is_not_taken() -> None:
    with pytest.raises(Exception, match="No such option: --fast"):
        parsed(["run", "quickstart", "--fast"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_the_commands_in_the_text_exist(page: Path) -> None:
    """With the options that it names, whatever stands for a value."""
    for text in named_commands(page):
        words = text.split()[1:]
        verb = next((verb for verb in COMMANDS if words[: len(verb.split())] == verb.split()), None)
        assert verb is not None, text
        known = {name for one in COMMANDS[verb].params for name in (*one.opts, *one.secondary_opts)}
        options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text)) - {"--help"}
        assert options <= known, text

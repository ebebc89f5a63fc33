"""The page on clusters tells what the tests of faults showed and what was measured, and its commands are real."""

from __future__ import annotations

import re
import shlex

import pytest

from benchmarks.cluster import DOCUMENT, FIGURES, Figures, fault_tests, tables
from benchmarks.documents import filled, read_figures
from tests.deploy.commands import parse_lape


@pytest.fixture(scope="module")
def figures() -> Figures:
    return read_figures(FIGURES)


def test_the_document_has_the_committed_figures(figures: Figures) -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    made = tables(figures)
    assert filled(document, made) == document, "run: python -m benchmarks.cluster tables"
    assert set(re.findall(r"^<!-- (?!end)(\w+) -->$", document, re.MULTILINE)) == made.keys()


def test_each_row_is_of_a_test_that_there_is(figures: Figures) -> None:
    assert set(figures["faults"]["found"]) <= set(fault_tests())


def test_what_was_shown_is_what_is_asked_for(figures: Figures) -> None:
    for row in figures["faults"]["found"].values():
        assert row["trials"] >= 4
        assert row["kept"] + row["went_on"] > 0


def test_its_commands_are_those_of_the_command_line() -> None:
    blocks = re.findall(r"```sh\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    commands = [
        line for block in blocks for line in block.replace("\\\n", " ").splitlines() if re.search(r"\blape \w", line)
    ]
    assert commands
    for line in commands:
        words = shlex.split(line, comments=True)
        parse_lape(words[words.index("lape") :])

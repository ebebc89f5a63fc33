"""Colour is for terminals alone, and says nothing that the words don't."""

from __future__ import annotations

import pytest

from suite.cli.commands import console
from suite.cli.commands.console import SafeConsole, lit
from suite.report.tables.table import Column, Table
from suite.report.tables.terminal import to_terminal
from tests.cli.shell import Shell
from tests.conftest import REPOSITORY

ESCAPE = "\x1b["


def shown(printed: object, *, terminal: bool) -> str:
    target = SafeConsole(force_terminal=terminal, color_system="standard" if terminal else None, width=100)
    with target.capture() as captured:
        target.print(printed)
    return captured.get()


@pytest.mark.parametrize(
    ("text", "coloured"),
    [
        ("small: 1/4 done, 2 to do, 1 running, 1 lost", True),
        ("  trials   4: 2 done, 1 failed, 1 to do", True),
        ("0 failed", False),
        ("abandoned 3 donets", False),
    ],
)
def test_counts_are_coloured_on_a_terminal(text: str, coloured: bool) -> None:
    assert (ESCAPE in shown(lit(text), terminal=True)) == coloured
    assert shown(lit(text), terminal=False).rstrip() == text


@pytest.mark.parametrize(
    ("gain", "colour"), [("+1.00 [+0.50, +1.50]", "32"), ("−1.00 [−1.50, −0.50]", "31"), ("+1.00 [−0.50, +2.50]", None)]
)
def test_a_gain_has_a_colour_if_its_interval_leaves_out_zero(gain: str, colour: str | None) -> None:
    table = Table("t", "", (Column("gain", "Gain", interval=True),), ((gain,),), ({},), ())
    text = shown(to_terminal(table), terminal=True)
    assert (f"{ESCAPE}{colour}m" in text) == (colour is not None)
    assert gain in shown(to_terminal(table), terminal=False)


def test_a_file_has_the_width_that_columns_says(monkeypatch: pytest.MonkeyPatch) -> None:
    assert console.open_console().width == 100
    assert console.open_console(120).width == 120
    monkeypatch.setenv("COLUMNS", "200")
    assert console.open_console(120).width == 200
    monkeypatch.setenv("COLUMNS", "wide")
    assert console.open_console().width == 100


def test_verdicts_have_their_words_with_and_without_colour(lape: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    results = ("--results", REPOSITORY / "results")
    plain = lape("verify", "cifar_subset", *results)
    assert ESCAPE not in plain
    monkeypatch.setattr(console, "SafeConsole", lambda **_: SafeConsole(force_terminal=True, color_system="standard"))
    coloured = lape("verify", "cifar_subset", *results)
    assert f"{ESCAPE}1;36mgain here" in coloured
    assert plain.count("gain here") == coloured.count("gain here")

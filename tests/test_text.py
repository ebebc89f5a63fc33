"""Text for people and for programs."""

from __future__ import annotations

import csv
import io
import math

import pytest

from suite.text import (
    complain,
    counted,
    csv_text,
    interval,
    note,
    p_value,
    points,
    precise_duration,
    printable,
    say,
    signed,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain ω – × text\twith\nlines", "plain ω – × text\twith\nlines"),
        ("\x1b[2Jgone", r"\u001b[2Jgone"),
        ("a\x9b31mb\x07\x7f", r"a\u009b31mb\u0007\u007f"),
        ("left\u202egnp.exe\u2069", r"left\u202egnp.exe\u2069"),
        ("over\rwritten", r"over\u000dwritten"),
        ("half \ud800 pair", r"half \ud800 pair"),
        ("two\u2028lines", r"two\u2028lines"),
    ],
)
def test_what_steers_a_terminal_is_escaped(text: str, expected: str) -> None:
    assert printable(text) == expected
    assert printable(expected) == expected


def test_what_is_printed_is_printable(capsys: pytest.CaptureFixture[str]) -> None:
    for function in (say, note, complain):
        function("a\x1bb")
    out, err = capsys.readouterr()
    assert out == "a\\u001bb\n"
    assert err == "note: a\\u001bb\na\\u001bb\n"


@pytest.mark.parametrize(
    "cell", ["=1+2", "+cmd", "-cmd|' /C calc'!A0", "@SUM(A1)", "\t=1", "\r=1", " =1", "\n@x", "=1"]
)
def test_csv_has_no_formulas(cell: str) -> None:
    _, (first, second) = csv.reader(io.StringIO(csv_text([{"=name": cell, "b": "x"}])))
    assert first.startswith("'")
    assert second == "x"
    assert csv_text([{"=name": 1}]).startswith("'=name\n")


@pytest.mark.parametrize("cell", ["-0.05", "+3", "-1e-5", ".5", "−0.05", "a=b", "a-b", "", "x\ny", "–"])
def test_csv_keeps_numbers_and_harmless_text(cell: str) -> None:
    assert list(csv.reader(io.StringIO(csv_text([{"a": cell, "b": "x"}])))) == [["a", "b"], [cell, "x"]]


def test_csv_of_numbers() -> None:
    rows = [{"a": 1 / 3, "b": -2, "c": True}, {"a": math.nan, "b": None, "c": False}, {"a": 1130000.0}]
    assert csv_text(rows, digits=10) == "a,b,c\n0.3333333333,-2,True\n,,False\n1130000,,\n"
    assert csv_text(rows[:1], columns=["c", "a"]) == f"c,a\nTrue,{1 / 3!r}\n"
    assert csv_text([]) == ""
    assert csv_text([{"a": "\x1b[31m"}]) == "a\n\\u001b[31m\n"


def test_numbers() -> None:
    assert [points(value) for value in (0.314, -0.049, -0.001, math.nan)] == ["+0.31", "−0.05", "0.00", "–"]
    assert [signed(value, 0) for value in (1.4, -0.4)] == ["+1", "0"]
    assert interval(-0.05, 0.31) == "[−0.05, +0.31]"
    assert interval(math.nan, math.nan) == "–"
    assert [p_value(value) for value in (0.0426, 0.00009, 0.0001, 1.0, math.nan)] == [
        "0.0426", "< 0.0001", "0.0001", "1.0000", "–",
    ]  # fmt: skip


def test_one_of_a_thing_is_in_the_singular() -> None:
    assert [counted(number, "trial") for number in (0, 1, 2)] == ["0 trials", "1 trial", "2 trials"]
    assert counted(1, "entry", "entries") == "1 entry"
    assert counted(1200, "entry", "entries") == "1200 entries"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0.00 s"),
        (0.043, "0.04 s"),
        (0.996, "1.0 s"),
        (1.04, "1.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (75, "1 min 15 s"),
    ],
)
def test_small_times_have_decimals_where_they_are_compared(seconds: float, text: str) -> None:
    assert precise_duration(seconds) == text

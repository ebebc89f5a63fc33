"""Pages that are filled from figures."""

from __future__ import annotations

import argparse

import pytest

from benchmarks.documents import add_parts, chosen_parts, filled


@pytest.mark.parametrize(
    ("given", "chosen"),
    [([], ["alone", "pair"]), (["pair"], ["pair"]), (["pair", "alone"], ["alone", "pair"]), (["tables"], [])],
)
def test_the_parts_that_are_measured(given: list[str], chosen: list[str]) -> None:
    parser, parts = argparse.ArgumentParser(), ("alone", "pair")
    add_parts(parser, parts)
    assert chosen_parts(parser.parse_args(given).names, parts) == chosen


def test_a_part_that_there_isnt(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    add_parts(parser, ["alone"])
    with pytest.raises(SystemExit):
        parser.parse_args(["lone"])
    assert "choose from" in capsys.readouterr().err


def test_a_table_takes_the_place_of_the_one_before() -> None:
    page = "a\n<!-- x -->\n\nold\n\n<!-- end -->\nb\n"
    assert filled(page, {"x": "new"}) == "a\n<!-- x -->\n\nnew\n\n<!-- end -->\nb\n"

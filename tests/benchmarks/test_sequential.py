"""Claims that are looked at again: the committed figures keep their bounds, and the page tells them."""

from __future__ import annotations

import csv

import pytest

from benchmarks import null_table
from benchmarks.documents import filled, read_figures
from benchmarks.sequential import DRAWS, FIGURES, rows, simulate, tables
from benchmarks.verdicts import DOCUMENT, Figures
from suite.verdict.stats.sequential import TABLE


@pytest.fixture(scope="module")
def figures() -> Figures:
    """The committed figures."""
    return read_figures(FIGURES)


def test_a_small_simulation_keeps_its_bounds() -> None:
    assert [str(row) for row in rows(simulate(600)) if not row.kept] == []


def test_the_committed_figures_keep_their_bounds(figures: Figures) -> None:
    assert figures["draws"] == DRAWS
    assert [str(row) for row in rows(figures) if not row.kept] == []


def test_the_document_has_the_committed_figures(figures: Figures) -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    assert filled(document, tables(figures)) == document, "run: python -m benchmarks.sequential"
    assert all(document.count(f"<!-- {name} -->") == 1 for name in tables(figures))


@pytest.mark.parametrize(
    ("gains", "found", "pairs"), [("none", 0.05, None), ("0.5 sd", 0.59, 15.6), ("1 sd", 0.988, 9.4), ("2 sd", 1, 5.5)]
)
def test_the_sequential_rule_does_what_another_simulation_found(
    figures: Figures, gains: str, found: float, pairs: float | None
) -> None:
    (row,) = (one for one in figures["looks"] if (one["gains"], one["rule"]) == (gains, "20 pairs, sequential"))
    assert row["found"] == pytest.approx(found, abs=0.007)
    if pairs is not None:
        assert row["pairs"] == pytest.approx(pairs, abs=0.15)


def test_uncorrected_looks_are_why_all_this_exists(figures: Figures) -> None:
    by_rule = {row["rule"]: row["found"] for row in figures["looks"] if row["gains"] == "none"}
    assert by_rule["20 pairs, uncorrected looks"] == pytest.approx(0.194, abs=0.01)
    (family,) = (row for row in figures["families"] if row["real"] == 0 and row["rule"] == "uncorrected looks")
    assert family["any_wrong"] > 0.2


def test_the_committed_table_has_the_levels_and_sizes_of_its_maker() -> None:
    with TABLE.open(encoding="utf-8", newline="") as file:
        heads, *lines = csv.reader(file)
    assert [int(head) for head in heads[1:]] == list(null_table.SIZES)
    assert [float(line[0]) for line in lines] == null_table.levels()


def test_a_small_table_is_near_the_committed_one(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(null_table, "TABLE", tmp_path / "table.csv")
    monkeypatch.setattr(null_table, "SIZES", (5, 20))
    null_table.write_table(20_000)
    with TABLE.open(encoding="utf-8", newline="") as file, (tmp_path / "table.csv").open(newline="") as small:
        committed, made = list(csv.DictReader(file)), list(csv.DictReader(small))
    for full, row in zip(committed, made, strict=True):
        assert full["p"] == row["p"]
        if float(row["p"]) > 0.02:
            assert [float(row[size]) for size in ("5", "20")] == pytest.approx(
                [float(full[size]) for size in ("5", "20")], rel=0.15
            )


@pytest.mark.slow
def test_the_committed_figures_are_those_of_this_code(figures: Figures) -> None:
    found = simulate(figures["draws"])
    for part in ("looks", "table", "families", "stopping", "margins", "greedy", "crossed", "cells"):
        for row, committed in zip(found[part], figures[part], strict=True):
            # On another processor a number next to a bound may fall on its other side.
            assert row == pytest.approx(committed, abs=0.01)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_committed_table_is_that_of_this_code(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(null_table, "TABLE", tmp_path / "table.csv")
    null_table.write_table()
    made, committed = ([line.split(",") for line in path.read_text().splitlines()]
                       for path in (tmp_path / "table.csv", TABLE))  # fmt: skip
    for row, kept in zip(made[1:], committed[1:], strict=True):
        assert [float(one) for one in row] == pytest.approx([float(one) for one in kept], rel=1e-3)

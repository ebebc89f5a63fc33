"""The checker is checked: simulated claims get the words that they should, and the document tells the figures."""

from __future__ import annotations

import pytest

from benchmarks.documents import filled, read_figures
from benchmarks.verdicts import DOCUMENT, FIGURES, Figures, rows, simulate, tables


@pytest.fixture(scope="module")
def figures() -> Figures:
    """The committed figures."""
    return read_figures(FIGURES)


def test_a_small_simulation_keeps_its_bounds() -> None:
    assert [str(row) for row in rows(simulate(40)) if not row.kept] == []


def test_the_committed_figures_keep_their_bounds(figures: Figures) -> None:
    assert figures["claims"] == 2000
    assert [str(row) for row in rows(figures) if not row.kept] == []
    assert all(0.94 <= row["covered"] <= 0.96 for row in figures["coverage"])


def test_the_document_has_the_committed_figures(figures: Figures) -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    assert filled(document, tables(figures)) == document, "run: python -m benchmarks.verdicts"
    assert all(document.count(f"<!-- {name} -->") == 1 for name in tables(figures))


@pytest.mark.parametrize(
    ("word", "gain", "sd", "pairs", "least"),
    [
        ("not_tested", 1.0, 0.2, 2, 1.0),
        ("contradicted", -1.0, 0.2, 5, 0.99),
        ("contradicted", 0.0, 0.2, 5, 0.85),
        ("confirmed", 1.0, 0.2, 5, 0.95),
        ("direction_only", 2.0, 0.2, 5, 0.99),
        ("inconclusive", 1.0, 1.0, 3, 0.6),
    ],
)
def test_each_word_falls_where_it_should(
    figures: Figures, word: str, gain: float, sd: float, pairs: int, least: float
) -> None:
    (row,) = (row for row in figures["words"] if (row["gain"], row["sd"], row["pairs"]) == (gain, sd, pairs))
    assert row[word] >= least


@pytest.mark.slow
def test_the_committed_figures_are_those_of_this_code(figures: Figures) -> None:
    found = simulate(figures["claims"])
    for part in set(figures) - {"claims"}:
        for row, committed in zip(found[part], figures[part], strict=True):
            # On another processor a number next to a bound may fall on its other side.
            assert row == pytest.approx(committed, abs=0.002)

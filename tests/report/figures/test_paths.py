"""The drawn path of a claim that is judged after each pair."""

from __future__ import annotations

import pytest

from suite.report.figures.paths import Drawn, _limits
from suite.verdict.paths import Step

INFINITE = float("inf")


def drawn(*path: Step) -> Drawn:
    return Drawn("path-01", "a claim", 0.5, False, 20, path)


@pytest.mark.parametrize("mean", [0.4, -0.4])
def test_the_boundaries_of_the_last_look_are_in_sight(mean: float) -> None:
    """A claim that stays open is far from them: they say how far. The wide intervals of first looks are cut."""
    first = Step(2, mean, -INFINITE, INFINITE, INFINITE, "not_tested")
    second = Step(3, 3 * mean, -300.0, 300.0, 200.0, "open")
    last = Step(4, mean, -12.9, 13.7, 10.0, "open")
    low, high = _limits(drawn(first, second, last))
    assert -16 < low < -12.9
    assert 13.7 < high < 17


def test_before_the_first_test_the_means_and_the_claim_are_in_sight() -> None:
    path = [Step(pairs, 1.5, -INFINITE, INFINITE, INFINITE, "not_tested") for pairs in (1, 2)]
    low, high = _limits(drawn(*path))
    assert low < 0
    assert 1.5 < high < 2.5

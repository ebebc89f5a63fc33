"""The epochs after which a run is tested: a period, a part of the training, or a list."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.errors import InputError
from suite.grid.grid import load_grid
from suite.grid.recipe import Recipe
from suite.run.timing.pace import work_of
from suite.store.canonical import resolved_values
from suite.store.tested_epochs import TestEvery, count_tests, epochs_tested

VALUES: dict[str, Any] = {"version": 1, "epochs": 30, "batch_size": 32, "lr": 1e-3}
EVERY = st.one_of(
    st.integers(1, 60),
    st.integers(1, 99).map(lambda percent: percent / 100),
    st.sets(st.integers(1, 60), min_size=1).map(lambda epochs: tuple(sorted(epochs))),
)


@given(EVERY, st.integers(1, 120))
def test_the_last_epoch_is_always_tested_and_tests_are_counted_right(every: TestEvery, total: int) -> None:
    found = epochs_tested(every, total)
    assert total in found
    assert found <= set(range(1, total + 1))
    assert count_tests(every, total) == len(found)
    if isinstance(every, float):
        exact = Fraction(str(every)) * total
        multiples = {int(exact * times) for times in range(1, int(1 / Fraction(str(every))) + 1)}
        assert found == ({*range(1, total + 1)} if exact <= 1 else multiples | {total})


def test_a_tenth_leaves_a_test_before_the_last_tenth() -> None:
    assert sorted(epochs_tested(0.1, 30)) == list(range(3, 31, 3))
    for total in range(2, 300):
        assert any(10 * epoch <= 9 * total for epoch in epochs_tested(0.1, total) - {total})


def test_ids_stay_and_new_kinds_have_their_own() -> None:
    assert resolved_values(Recipe(**VALUES))["test_every"] == 1
    assert resolved_values(Recipe.model_validate({**VALUES, "test_every": 0.1}))["test_every"] == 0.1
    assert resolved_values(Recipe.model_validate({**VALUES, "test_every": [1, 10]}))["test_every"] == [1, 10]
    assert Recipe.model_validate({**VALUES, "test_every": [1, 10]}).tested_epochs == {1, 10, 30}


@pytest.mark.parametrize("value", ["0", "-2", "1.0", "1.5", "true", "often", "[]", "[3, 2]", "[0, 2]", "[2, 31]", "31"])
def test_other_values_are_refused_in_one_message(write_grid: Callable[..., Path], value: str) -> None:
    path = write_grid(("epochs: 2", f"epochs: 30, test_every: {value}"))
    with pytest.raises(InputError, match="test_every") as caught:
        load_grid(path).expand()
    (problem,) = caught.value.problems
    assert f"{path}, line" in problem.where


def test_the_price_of_tests_follows(write_grid: Callable[..., Path]) -> None:
    def tested(every: str) -> int:
        (trial, *_) = load_grid(write_grid(("epochs: 2", f"epochs: 30, test_every: {every}"))).expand().trials
        return work_of(trial).tested // trial.dataset.test_images

    assert [tested(every) for every in ("1", "0.1", "[1, 7]", "4")] == [30, 10, 3, 8]

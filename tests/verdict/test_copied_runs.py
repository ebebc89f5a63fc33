from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest

from suite.errors import InputError
from suite.verdict.copied_runs import Losses, check_copies
from tests.frames import frame_of, paired_rows

ROWS = paired_rows([0.8, 0.9, 0.7, 0.8])  # seeds 0 and 3 have the same accuracy, answers and last loss


def check(rows: list[dict[str, Any]], losses: dict[str, tuple[float, ...]]) -> list[Collection[str]]:
    asked: list[Collection[str]] = []

    def load(trials: Collection[str]) -> Losses:
        asked.append(trials)
        return losses

    check_copies(frame_of(rows), load)
    return asked


def test_a_run_with_the_losses_and_answers_of_another_is_refused() -> None:
    first, fourth = ROWS[0]["trial_id"], ROWS[3]["trial_id"]
    with pytest.raises(InputError) as caught:
        check(ROWS, {first: (1.0, 0.5), fourth: (1.0, 0.5)})
    assert f"trials {first} (seed 0) and {fourth} (seed 3)" in str(caught.value)


def test_equal_answers_alone_are_no_copy() -> None:
    first, fourth = ROWS[0]["trial_id"], ROWS[3]["trial_id"]
    (asked,) = check(ROWS, {first: (1.0, 0.5), fourth: (1.0000001, 0.5)})
    assert {first, fourth} <= set(asked)
    assert check(ROWS, {})  # no history was kept: nothing can be shown


def test_histories_are_not_read_where_the_last_losses_differ() -> None:
    rows = [{**row, "test_loss": 0.1 + 0.01 * place} for place, row in enumerate(ROWS)]
    assert check(rows, {}) == []


def test_the_same_run_of_two_cells_is_another_matter() -> None:
    # The two sides of a treatment without any effect may agree in all: the pair says so, and it's no copy.
    rows = paired_rows([0.0, 0.0])
    losses = {row["trial_id"]: (1.0 + row["seed_index"],) for row in rows}
    assert check(rows, losses) == []

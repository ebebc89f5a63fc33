from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest

from suite.errors import InputError
from suite.verdict.copied_runs import Losses, check_copies
from suite.verdict.verdicts import judge
from tests.frames import frame_of, history_of, paired_rows
from tests.verdict.test_verdicts import claim

# Seeds 0 and 3 have the same accuracy, answers and last loss.
ROWS = [{**row, "test_loss": 0.2 + 0.01 * (row["seed_index"] % 3)} for row in paired_rows([0.8, 0.9, 0.7, 0.8])]
SEPARATE = {row["trial_id"]: (1.0, 0.5 + 1e-7 * place) for place, row in enumerate(ROWS)}


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
        check(ROWS, {**SEPARATE, fourth: SEPARATE[first]})
    assert f"trials {first} (seed 0) and {fourth} (seed 3)" in str(caught.value)


def test_equal_answers_alone_are_no_copy() -> None:
    (asked,) = check(ROWS, SEPARATE)
    assert {ROWS[0]["trial_id"], ROWS[3]["trial_id"]} <= set(asked)


def test_without_histories_the_last_loss_decides_unless_all_answers_are_right() -> None:
    with pytest.raises(InputError, match="a run is a copy of another one"):
        check(ROWS, {})
    perfect = paired_rows([0.0] * 4, base=100.0)
    for row in perfect:
        row |= {"top1": 100.0, "test_loss": 0.0}
    assert check(perfect, {})
    assert check([{**row, "correct": None} for row in ROWS], {})


def test_without_answers_the_losses_of_all_epochs_decide() -> None:
    rows = [{**row, "correct": None, "test_images": None} for row in ROWS]
    first, fourth = ROWS[0]["trial_id"], ROWS[3]["trial_id"]
    with pytest.raises(InputError, match="a run is a copy of another one"):
        check(rows, {**SEPARATE, fourth: SEPARATE[first]})
    assert check(rows, SEPARATE)


@pytest.mark.parametrize("with_history", [False, True])
def test_copies_never_beat_one_pair(with_history: bool) -> None:
    """One pair under five seeds is no evidence, whoever judges it; five runs that share their answers alone may be."""
    rows = paired_rows([0.8] * 5)
    firsts = {row["join"]: {"top1": row["top1"], "correct": row["correct"]} for row in reversed(rows)}
    copies = [{**row, **firsts[row["join"]]} for row in rows]
    history = history_of(frame_of(rows)) if with_history else None
    asked = claim()
    with pytest.raises(InputError, match="a run is a copy of another one"):
        judge(frame_of([{**row, "test_loss": 0.2} for row in copies]), [asked], history=history)
    (verdict,) = judge(frame_of(copies), [asked])
    assert any("equal pairs" in caveat for caveat in verdict.caveats)


def test_histories_are_not_read_where_the_last_losses_differ() -> None:
    rows = [{**row, "test_loss": 0.1 + 0.01 * place} for place, row in enumerate(ROWS)]
    assert check(rows, {}) == []


def test_the_same_run_of_two_cells_is_another_matter() -> None:
    # The two sides of a treatment without any effect may agree in all: the pair says so, and it's no copy.
    rows = paired_rows([0.0, 0.0])
    losses = {row["trial_id"]: (1.0 + row["seed_index"],) for row in rows}
    assert check(rows, losses) == []

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from suite.errors import InputError
from suite.grid.budget import Budget
from suite.grid.grid import load_grid
from suite.verdict.claims.claim import carried_over
from suite.verdict.verdicts import judge
from tests.frames import frame_of, paired_rows
from tests.verdict.test_verdicts import claim as make_claim

BUDGET = Budget(note="little", stands_for={"arch": {"small": "vit_lite_digits"}, "dataset": {"mine": "digits"}})


def test_levels_stand_for_others_or_for_themselves() -> None:
    assert BUDGET.published("arch", "small") == "vit_lite_digits"
    assert BUDGET.here("arch", "vit_lite_digits") == "small"
    assert BUDGET.published("join", "lape") == BUDGET.here("join", "lape") == "lape"


def test_a_claim_is_carried_over_to_the_cells_that_stand_for_its_own() -> None:
    claim = make_claim(match={"arch": "vit_lite_digits", "pe": "learnable", "dataset": "digits"})
    carried = carried_over(claim, BUDGET)
    assert (carried.kind, carried.contrast.match) == (
        "analogue",
        {"arch": "small", "pe": "learnable", "dataset": "mine"},
    )
    assert claim.row in carried.published_for
    assert (carried.claimed_gain, carried.margin, carried.alpha) == (claim.claimed_gain, claim.margin, claim.alpha)
    frame = frame_of(paired_rows([0.8, 0.9, 1.0], arch="small", dataset="mine"))
    (verdict,) = judge(frame, [carried])
    assert verdict.word != "not_tested"
    assert verdict.claim.title.startswith("analogue of")
    assert "the paper's gain is for" in verdict.sentence
    assert "not this one: little" in verdict.sentence
    (untouched,) = judge(frame, [claim])
    assert untouched.word == "not_tested"
    (without,) = judge(frame_of([]), [carried])
    assert "these runs" not in without.sentence  # there are none


def test_without_a_budget_and_for_analogues_nothing_changes() -> None:
    analogue, published = make_claim(kind="analogue", published_for="CIFAR-10"), make_claim()
    assert carried_over(analogue, BUDGET) is analogue
    assert carried_over(published, None) is published


@pytest.mark.parametrize(
    ("budget", "message"),
    [
        ("{}", "note"),
        ("{note: ''}", "note"),
        ("{note: a, stands_for: {archs: {a: b}}}", "did you mean 'arch'"),
        ("{note: a, stands_for: {join: {lape_shared: lape}}}", "expected:   an axis of size"),
        ("{note: a, stands_for: {arch: {a: c, b: c}}}", "of its own for each level"),
    ],
)
def test_bad_budgets(write_grid: Callable[..., Path], budget: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_grid(write_grid(("seeds:", f"budget: {budget}\nseeds:")))


@pytest.mark.parametrize(
    ("stands_for", "message"),
    [
        ("{arch: {tinny: deit_tiny}}", "did you mean 'tiny'"),
        ("{arch: {tiny: deit_tinny}}", "did you mean 'deit_tiny'"),
        ("{arch: {tiny: vit_lite_2_4}}", "both 'tiny' and 'vit_lite_2_4' would stand for"),
    ],
)
def test_a_level_that_cant_stand_for_a_published_one_is_told(
    write_grid: Callable[..., Path], stands_for: str, message: str
) -> None:
    budget = f"budget: {{note: little, stands_for: {stands_for}}}"
    path = write_grid(("seeds:", f"{budget}\nseeds:"), ("[tiny]", "[tiny, vit_lite_2_4]"))
    with pytest.raises(InputError, match=message) as found:
        load_grid(path).expand()
    assert "line 3" in str(found.value)


def test_levels_may_stand_for_each_other_and_for_themselves(write_grid: Callable[..., Path]) -> None:
    stands_for = "{arch: {tiny: deit_tiny}, dataset: {digits: digits}}"
    path = write_grid(("seeds:", f"budget: {{note: little, stands_for: {stands_for}}}\nseeds:"))
    assert len(load_grid(path).expand().trials) == 4

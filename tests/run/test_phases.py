"""A run of a grid with `choose`: each phase has what the records have chosen, wherever the one before was stopped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from suite.run.opened_grid import OpenGrid, open_grid
from suite.run.phases import next_phase, whole_plan
from suite.run.plan import Plan, make_plan
from suite.store.record import RunRecord
from tests.cli.shell import Write
from tests.grid.test_choice import WHOLE, scored
from tests.records import make_record

BEST = {"default": "0.002", "lape": "0.004"}
SEARCH = 12


@pytest.fixture
def opened(write_grid: Write, tmp_path: Path) -> OpenGrid:
    return open_grid(str(write_grid(*WHOLE)), (), None, tmp_path / "results")


def found(opened: OpenGrid, *, failing: str = "") -> dict[str, RunRecord]:
    """Records of the whole search; every run of the join `failing` has diverged."""
    accuracies = {
        (join, level, seed): None if join == failing else 40.0 if BEST[join] == level else 20.0
        for join in BEST
        for level in ("0.001", "0.002", "0.004")
        for seed in (7, 8)
    }
    return scored(opened.expansion, accuracies)


def planned(opened: OpenGrid) -> Plan:
    return make_plan(opened.runnable, opened.store.records())


def test_each_side_goes_on_when_its_own_search_has_ended(opened: OpenGrid) -> None:
    records = found(opened)
    assert opened.runnable.trials == opened.expansion.trials[:SEARCH]
    assert len(opened.expansion.trials) == SEARCH + 4
    for count, record in enumerate(records.values(), start=1):
        opened.store.put(record)
        fresh = replace(opened)
        done = [choice for choice in fresh.choices if choice.level]
        assert len(fresh.runnable.trials) == SEARCH + 2 * len(done)
        assert len(fresh.expansion.trials) == SEARCH + 4
        assert {choice.candidates[0].join: choice.level for choice in done}.items() <= BEST.items()
        following = next_phase(opened, planned(opened))
        assert (following is not None) == (count == SEARCH)
    assert following is not None
    finals = following.runnable.trials[SEARCH:]
    assert [(one.join, one.varied["recipe.lr"], one.seed_index) for one in finals] == [
        (join, BEST[join], seed) for seed in (0, 1) for join in BEST
    ]
    for trial in finals:
        assert whole_plan(following, planned(following)).to_do
        following.store.put(make_record(trial))
    assert next_phase(following, planned(following)) is None
    whole = whole_plan(following, planned(following))
    assert (len(whole.done), whole.total) == (SEARCH + 4, SEARCH + 4)


def test_sides_without_a_level_are_missing_and_not_done(opened: OpenGrid) -> None:
    for record in found(opened, failing="lape").values():
        opened.store.put(record)
    following = next_phase(opened, planned(opened))
    assert following is not None
    for trial in following.runnable.trials[SEARCH:]:
        assert trial.join == "default"
        following.store.put(make_record(trial))
    assert not planned(following).to_do
    assert next_phase(following, planned(following)) is None
    assert [trial.join for trial in whole_plan(following, planned(following)).to_do] == ["lape", "lape"]


def test_another_grid_has_one_phase(write_grid: Write, tmp_path: Path) -> None:
    plain = open_grid(str(write_grid()), (), None, tmp_path / "results")
    plan = planned(plain)
    assert plain.runnable is plain.expansion
    assert next_phase(plain, plan) is None
    assert whole_plan(plain, plan) is plan

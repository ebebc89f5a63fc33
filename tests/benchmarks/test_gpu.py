"""The targets of a GPU: open until they are measured, and met by what was asked for."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import pytest

from benchmarks.gpu import PARTS, targets
from benchmarks.headline import SEEDS, SHORT, SIDES, Timed
from benchmarks.stacking import HEADLINE, headline, seeds_of

SIDE = Timed("lape", SEEDS, 60.0, 4.0, 60_000.0, 310, "cifar10", "a GPU")


def ratio(low: float | None) -> dict[str, Any]:
    return {"summary": {"training": {"ratio": {"median": 10.5, "low": low, "high": None if low is None else 11.0}}}}


def test_what_was_not_measured_is_open() -> None:
    assert [line[2:] for line in targets({})] == [["–", "**open**"]] * len(PARTS)


@pytest.mark.parametrize(
    ("name", "figures", "told"),
    [
        ("gpu", ratio(10.1), ["10.50 [10.10, 11.00]", "met"]),
        ("gpu", ratio(9.9), ["10.50 [9.90, 11.00]", "**missed**"]),
        ("gpu", ratio(None), ["10.50", "met"]),
        ("gpu_stack", [{"together": 60_001.0}, {"together": 10.0}], ["60,001 images/s", "met"]),
        ("gpu_stack", [{"together": 59_999.0}], ["59,999 images/s", "**missed**"]),
        ("gpu_ten", [asdict(SIDE)] * 2, ["43 min", "met"]),
        ("gpu_ten", [asdict(SIDE), asdict(replace(SIDE, epoch=5.0))], ["48 min", "**missed**"]),
    ],
)
def test_what_was_measured(name: str, figures: Any, told: list[str]) -> None:
    assert [line[2:] for line in targets({name: figures}) if "**open**" not in line] == [told]


def test_the_ten_trials_are_ten() -> None:
    trials = [trial for side in SIDES for trial in seeds_of(HEADLINE, [headline(side)], SEEDS)]
    assert len({trial.id for trial in trials}) == 10
    assert {(trial.arch.name, trial.dataset.name, trial.recipe.total_epochs) for trial in trials} == {
        ("vit_lite_7_4", "cifar10", 310)
    }
    assert {trial.join for trial in trials} == set(SIDES)
    (short,) = seeds_of(HEADLINE, [headline("lape"), *SHORT], 1)
    assert 3 <= short.recipe.total_epochs < 10

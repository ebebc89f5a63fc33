from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suite.errors import InputError
from suite.text import pair_count, points, seed_list
from suite.verdict.comparisons import comparisons
from suite.verdict.runs import unique_runs
from tests.frames import CPU, GPU, frame_of, paired_rows, run


def test_pairs_are_of_the_same_seed() -> None:
    (found,) = comparisons(frame_of(paired_rows([0.3, -0.1, 0.5], seeds=[121, 123, 122])))
    assert (found.axis, found.baseline.level, found.treatment.level) == ("join", "default", "lape")
    assert found.seeds == (121, 122, 123)
    assert found.gains == pytest.approx((0.3, 0.5, -0.1))
    assert found.cell == {
        "dataset": "digits", "arch": "vit_lite_digits", "pe": "learnable", "norm": "ln", "loss": "default",
        "recipe": "digits", "recipe_id": "0123456789abcdef",
    }  # fmt: skip
    assert found.label == "digits vit_lite_digits learnable: lape vs default"


@settings(deadline=None)
@given(st.permutations(range(10)))
def test_the_order_of_the_rows_doesnt_matter(order: list[int]) -> None:
    rows = paired_rows([0.3, 0.1, 0.5]) + paired_rows([0.2, 0.4], arch="cct_digits")
    assert comparisons(frame_of(rows[place] for place in order)) == comparisons(frame_of(rows))


@pytest.mark.parametrize("name", ["arch", "pe", "norm", "loss", "dataset", "recipe", "recipe_id"])
def test_cells_that_differ_in_anything_else_are_not_compared(name: str) -> None:
    rows = [run(0, join="default"), run(0, join="lape", **{name: "other"})]
    assert comparisons(frame_of(rows)) == []


def test_another_axis_and_metric() -> None:
    rows = [run(0, 93, norm="ln"), run(0, 94, norm="l2bn", top1_best_epoch=96), run(0, 92, norm="bn")]
    found = comparisons(frame_of(rows), axis="norm", baseline="ln", metric="top1_best_epoch")
    assert [(one.treatment.level, one.gains) for one in found] == [("bn", (-1.0,)), ("l2bn", (2.5,))]
    assert found[0].cell["join"] == "default"
    assert "norm" not in found[0].cell
    assert comparisons(frame_of(rows)) == []


def test_failures_are_counted_and_never_paired() -> None:
    rows = [*paired_rows([0.3, 0.1]), run(2), run(2, status="diverged", join="lape"), run(3, status="oom", join="lape")]
    (found,) = comparisons(frame_of(rows))
    assert found.seeds == (0, 1)
    assert found.unpaired == (2,)
    assert found.treatment.failures == {2: "diverged", 3: "oom"}
    assert found.baseline.failures == {}


def test_a_contrast_without_any_pair() -> None:
    (found,) = comparisons(frame_of([run(0), run(1, join="lape")]))
    assert (found.seeds, found.gains, found.unpaired) == ((), (), (0, 1))
    assert math.isnan(found.gain.mean)
    assert not found.mixed_environments


def test_mixed_environments_are_flagged_by_pair() -> None:
    def both(*sides: tuple[int, str, str]) -> Any:
        (found,) = comparisons(frame_of(run(seed, join=join, environment=place) for seed, join, place in sides))
        return found.mixed_environments

    assert both((0, "default", CPU), (0, "lape", GPU))
    # Each pair ran in one place, so its gain is fair, though the seeds ran in two.
    assert not both((0, "default", CPU), (0, "lape", CPU), (1, "default", GPU), (1, "lape", GPU))
    assert both((0, "default", CPU), (1, "lape", GPU))


def test_the_correlation_of_the_pairs() -> None:
    rows = [run(seed, 90 + seed) for seed in range(4)] + [run(seed, 91 + 2 * seed, join="lape") for seed in range(4)]
    assert comparisons(frame_of(rows))[0].correlation == pytest.approx(1.0)


def test_of_two_runs_of_a_trial_the_finished_and_then_the_later_counts() -> None:
    rows = [
        run(0, 93, started_at="2026-11-20T12:00:00+00:00"),
        run(0, status="error", started_at="2026-11-21T12:00:00+00:00"),
        run(0, 94, started_at="2026-11-20T13:00:00+00:00"),
    ]
    for ordered in (rows, rows[::-1]):
        (kept,) = unique_runs(frame_of(ordered))
        assert (kept["status"], kept["top1"]) == ("done", 94)


def test_two_runs_of_a_trial_in_one_second_are_told_apart_by_what_they_hold() -> None:
    rows = [run(0, 93), run(0, 94)]
    assert unique_runs(frame_of(rows)) == unique_runs(frame_of(rows[::-1]))


@pytest.mark.parametrize("values", [{"top1": math.nan}, {"top1": None}, {"top1": 100.2}, {"top1": -0.1},
                                    {"top1_best_epoch": math.nan}])  # fmt: skip
def test_a_finished_run_without_an_accuracy_is_refused(values: dict[str, Any]) -> None:
    rows = [run(0), {**run(1), **values}]
    with pytest.raises(InputError, match=rf"no {next(iter(values))} to compare(?s:.*)trial {rows[1]['trial_id']}"):
        comparisons(frame_of(rows))


def test_two_trainings_under_one_name_are_refused() -> None:
    rows = [run(0, 93, trial_id="a" * 16), run(0, 94, trial_id="b" * 16)]
    with pytest.raises(InputError, match=r"two different trainings under one name(?s:.*)aaaaaaaaaaaaaaaa"):
        comparisons(frame_of(rows))


@pytest.mark.parametrize(("names", "near"), [({"axis": "joint"}, "join"), ({"metric": "top2"}, "top1")])
def test_an_unknown_axis_or_metric(names: dict[str, str], near: str) -> None:
    with pytest.raises(InputError, match=f"did you mean {near!r}"):
        comparisons(frame_of([run()]), **names)


def test_an_empty_frame_has_no_contrasts() -> None:
    assert comparisons(frame_of([])) == []


def test_joins_come_in_the_order_of_their_registration() -> None:
    rows = [run(0, join=join) for join in ("unshared", "lape", "mine", "shared", "default")]
    assert [one.treatment.level for one in comparisons(frame_of(rows))] == ["shared", "unshared", "lape", "mine"]


def test_numbers_in_words() -> None:
    assert [points(value) for value in (0.314, -0.05, 0.001, -0.001, math.nan)] == [
        "+0.31",
        "−0.05",
        "0.00",
        "0.00",
        "–",
    ]
    assert [pair_count(n) for n in (0, 1, 3)] == ["no pairs", "1 pair", "3 pairs"]
    assert (seed_list([3]), seed_list([2, 1])) == ("seed 3", "seeds 1, 2")

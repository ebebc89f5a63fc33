"""`choose:` in a grid: what it expands to, what is chosen, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import fmean

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from suite.errors import InputError
from suite.grid.choice import Choice, final_trials
from suite.grid.grid import Expansion, load_grid
from suite.store.record import RunRecord
from tests.conftest import GRID
from tests.records import make_record

Write = Callable[..., Path]
SPLIT = ("train_images: 128}", "train_images: 160, validation: 0.2}")
RATES = ("lr: 1e-3, ", "")
CHOOSE = ("seeds: [0, 1]", "seeds: [0, 1]\nchoose: {axis: recipe.lr, seeds: [7, 8]}")
AXIS = ("  dataset: [digits]\n", "  dataset: [digits]\n  recipe.lr: [1e-3, 2e-3, 4e-3]\n")
WHOLE = (SPLIT, RATES, CHOOSE, AXIS)


def expand(path: Path, seeds: int | None = None) -> Expansion:
    return load_grid(path, seeds=seeds).expand()


def scored(expansion: Expansion, accuracies: Mapping[tuple[str, str, int], float | None]) -> dict[str, RunRecord]:
    """Records of the search: by join, level and seed the validation accuracy; None: the run has diverged."""
    assert expansion.search is not None
    found = {}
    for trial in expansion.search.trials:
        value = accuracies[trial.join, trial.varied["recipe.lr"], trial.seed_index]
        if value is None:
            record = make_record(trial, status="diverged", diverged_step=1, history=())
        else:
            best = {"validation_top1_best_epoch": 100.0 - value, "top1_best_validation": 50.0}
            value = min(value, 50.0)
            record = make_record(trial, validation_images=32, validation_top1=value, **best)
        found[trial.id] = record
    return found


def choices(expansion: Expansion, records: dict[str, RunRecord]) -> dict[str, Choice]:
    assert expansion.search is not None
    return {choice.candidates[0].join: choice for choice in expansion.search.choices(records)}


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rates=st.lists(st.sampled_from(["1e-3", "2e-3", "4e-3", "8e-3"]), min_size=2, unique=True),
    final=st.lists(st.integers(0, 5), min_size=1, unique=True),
    search=st.lists(st.integers(6, 9), min_size=1, unique=True),
    data=st.data(),
)
def test_ids_are_those_of_the_same_runs_in_a_plain_grid(
    tmp_path_factory: pytest.TempPathFactory, rates: list[str], final: list[int], search: list[int], data: st.DataObject
) -> None:
    text = GRID
    for old, new in (SPLIT, RATES, (AXIS[0], f"{AXIS[0]}  recipe.lr: [{', '.join(rates)}]\n")):
        text = text.replace(old, new)
    folder = tmp_path_factory.mktemp("choice")

    def trials(seeds: str) -> Expansion:
        path = folder / "grid.yaml"
        path.write_text(text.replace("seeds: [0, 1]", seeds))
        return expand(path)

    chosen = trials(f"seeds: {final}\nchoose: {{axis: recipe.lr, seeds: {search}}}")
    assert chosen.search is not None
    first = [trial.id for trial in chosen.search.trials]
    assert set(first) == trials(f"seeds: {search}").ids
    plain = trials(f"seeds: {final}")
    assert [trial.id for trial in chosen.trials[: len(first)]] == first
    assert len(chosen.trials) == len(first) + 2 * len(final)
    assert {trial.id for trial in chosen.trials[len(first) :]} <= plain.ids
    levels = [trial.varied["recipe.lr"] for trial in chosen.search.sides[0]]
    keys = [(join, level, seed) for join in ("default", "lape") for level in levels for seed in search]
    accuracies = {key: data.draw(st.sampled_from([10.0, 20.0, 30.0, 40.0])) for key in keys}
    found = choices(chosen, scored(chosen, accuracies))
    for join, choice in found.items():
        means = [fmean(accuracies[join, level, seed] for seed in search) for level in levels]
        assert choice.level == levels[means.index(max(means))]  # the first of equals
    finals = final_trials(list(found.values()), final)
    assert [trial.seed_index for trial in finals] == [seed for seed in final for _ in range(2)]
    for base, treated in zip(finals[::2], finals[1::2], strict=True):  # pairs, of which each has its own level
        assert (base.join, treated.join) == ("default", "lape")
        assert base.seed("order", 0) == treated.seed("order", 0)
        assert base.validation_seed == treated.validation_seed
        assert {base.id, treated.id} <= plain.ids


def test_a_level_with_failed_runs_is_not_chosen_and_missing_runs_leave_a_side_open(write_grid: Write) -> None:
    expansion = expand(write_grid(*WHOLE))
    values: dict[tuple[str, str, int], float | None] = {
        (join, level, seed): 10.0 + 10 * place
        for join in ("default", "lape")
        for place, level in enumerate(("0.001", "0.002", "0.004"))
        for seed in (7, 8)
    }
    assert {choice.level for choice in choices(expansion, scored(expansion, values)).values()} == {"0.004"}
    values["default", "0.004", 8] = None
    records = scored(expansion, values)
    found = choices(expansion, records)
    assert (found["default"].level, found["lape"].level) == ("0.002", "0.004")
    del records[next(name for name, one in records.items() if one.join == "lape")]
    open_side = choices(expansion, records)["lape"]
    assert open_side.level is None
    assert open_side.text == "not chosen yet, 1 search runs are missing"
    assert [trial.join for trial in final_trials(list(choices(expansion, records).values()), [0])] == ["default"]
    for level in ("0.001", "0.002", "0.004"):
        values["default", level, 7] = None
    none = choices(expansion, scored(expansion, values))["default"]
    assert none.level is None
    assert none.text == "none: each level has failed runs"


def test_the_epoch_is_fixed_in_the_file(write_grid: Write) -> None:
    best = ("seeds: [7, 8]}", "seeds: [7, 8], epoch: best}")
    values: dict[tuple[str, str, int], float | None] = {
        (join, level, seed): 10.0 + 10 * place
        for join in ("default", "lape")
        for place, level in enumerate(("0.001", "0.002", "0.004"))
        for seed in (7, 8)
    }
    expansion = expand(write_grid(*WHOLE, best))
    # The helper's best epochs fall where its last ones rise.
    assert {choice.level for choice in choices(expansion, scored(expansion, values)).values()} == {"0.001"}


def test_further_seeds_are_none_of_the_search(write_grid: Write) -> None:
    assert load_grid(write_grid(*WHOLE), seeds=8).file.seeds == [0, 1, 2, 3, 4, 5, 6, 9]


def test_a_size_can_be_searched(write_grid: Write) -> None:
    replacements = (
        SPLIT, ("depth: 2, ", ""), ("seeds: [0, 1]", "seeds: [0, 1]\nchoose: {axis: size.depth, seeds: [7]}"),
        (AXIS[0], f"{AXIS[0]}  size.depth: [1, 2]\n"),
    )  # fmt: skip
    expansion = expand(write_grid(*replacements))
    assert expansion.search is not None
    assert [[trial.varied["size.depth"] for trial in side] for side in expansion.search.sides] == [["1", "2"]] * 2


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("seeds: [7, 8]", "seeds: [1, 7]"), "both have 1"),
        (("seeds: [7, 8]", "seeds: [7, 7]"), "each search seed once"),
        (("seeds: [7, 8]", "seeds: []"), "choose.seeds"),
        (("seeds: [7, 8]}", "seeds: [7], epoch: first}"), "choose.epoch"),
        (("seeds: [7, 8]}", "seeds: [7], by: test}"), "unknown key 'choose.by'"),
        (("axis: recipe.lr", "axis: recipe.weight_decay"), "no setting that is an axis of this grid"),
        (("axis: recipe.lr", "axis: join"), "no setting that is an axis of this grid"),
        (("axis: recipe.lr", "axis: recipe.lrr"), "no setting that is an axis of this grid"),
        (("recipe.lr: [1e-3, 2e-3, 4e-3]", "recipe.lr: [1e-3]"), "has a single level"),
        (("recipe.lr: [1e-3, 2e-3, 4e-3]", "zip: {recipe.lr: [1e-3, 2e-3], recipe.epochs: [2, 3]}"), "is tied"),
        ((", validation: 0.2", ""), "a choice without a validation split"),
        (("validation: 0.2", "validation: 0.7"), "fewer training images of digits than a batch has"),
    ],
)
def test_what_cannot_be_chosen_is_refused_in_one_message(write_grid: Write, change: tuple[str, str], told: str) -> None:
    fewer = [("epochs: 2, ", "")] if "zip" in change[1] else []
    path = write_grid(*WHOLE, change, *fewer)
    with pytest.raises(InputError) as caught:
        expand(path)
    problems = caught.value.problems
    assert {problem.what + problem.expected for problem in problems if told in problem.what + problem.expected}
    assert len({problem.what for problem in problems}) == 1
    assert f"{path}, line" in problems[0].where


def test_the_validation_split_itself_is_not_searched(write_grid: Write) -> None:
    changes = (("axis: recipe.lr", "axis: recipe.validation"), (", validation: 0.2", ""))
    path = write_grid(SPLIT, CHOOSE, (AXIS[0], f"{AXIS[0]}  recipe.validation: [0.1, 0.2]\n"), *changes)
    with pytest.raises(InputError, match="decides what a choice is made by"):
        expand(path)

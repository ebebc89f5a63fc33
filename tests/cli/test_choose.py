"""A grid with `choose`, whole: search, choice, the chosen level with other seeds, and what every command says of it."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from suite.grid.grid import load_grid
from suite.run.opened_grid import open_grid
from suite.store.folder import Store
from tests.cli.shell import Shell, Write
from tests.grid.test_choice import WHOLE, scored
from tests.records import lines, make_record

RUN = ("--executor", "serial")
SEARCH, FINAL = 12, 4  # two sides, three rates, two search seeds; two sides, two seeds
CLAIM = (
    "claims: [{id: c, paper: P, version: v, table: '1', row: r, kind: own, claimed_gain: 5.0, margin: 2.5, "
    "alpha: 0.05, contrast: {axis: join, baseline: default, treatment: lape, "
    "match: {arch: tiny, pe: learnable, dataset: digits}}}]\n"
)


@pytest.fixture
def grid(write_grid: Write, tmp_path: Path) -> Path:
    (tmp_path / "claims.yaml").write_text(CLAIM)
    return write_grid(*WHOLE, ("name: small", "name: small\nclaims: [claims.yaml]"))


def seeds(tmp_path: Path) -> list[int]:
    return sorted(run["seed_index"] for run in lines(tmp_path / "results" / "small" / "runs.jsonl"))


def answer(lape: Shell, *arguments: str | Path) -> Any:
    return json.loads(lape(*arguments, "--json"))


ACCURACIES: dict[tuple[str, str, int], float | None] = {
    ("default", "0.001", 7): 20.0, ("default", "0.001", 8): 20.0, ("default", "0.002", 7): 45.0,
    ("default", "0.002", 8): 40.0, ("default", "0.004", 7): 48.0, ("default", "0.004", 8): None,
    ("lape", "0.001", 7): 20.0, ("lape", "0.001", 8): 20.0, ("lape", "0.002", 7): 30.0,
    ("lape", "0.002", 8): 30.0, ("lape", "0.004", 7): 35.0, ("lape", "0.004", 8): 30.0,
}  # fmt: skip


def test_what_was_chosen_is_told_and_only_its_own_seeds_are_judged(lape: Shell, grid: Path, tmp_path: Path) -> None:
    """Records of no training: the search has found 0.002 for the default, and 0.004 for lape."""
    plan = answer(lape, "plan", grid)
    assert plan["trials"] == {"total": SEARCH + FINAL, "done": 0, "failed": 0, "to_do": SEARCH + FINAL}
    assert [choice["level"] for choice in plan["choices"]] == [None, None]
    store, opened = Store(tmp_path / "results" / "small"), open_grid(str(grid), (), None, tmp_path / "results")
    for record in scored(opened.expansion, ACCURACIES).values():
        store.put(record)
    fresh = replace(opened)
    for trial in fresh.runnable.trials[SEARCH:]:
        gain = 2.0 + 0.5 * trial.seed_index if trial.join == "lape" else 0.0
        store.put(make_record(trial, 60.0 + gain))
    for trial in load_grid(grid).expand().trials[SEARCH:]:  # of the first level: left over from another choice
        store.put(make_record(trial, 1.0))
    out = lape("plan", grid)
    assert "a search of recipe.lr, 6 cells × 2 seeds, then 2 cells × 2 seeds at the chosen levels" in out
    assert "trials   16: 15 done, 1 failed, 0 to do" in out
    assert "besides  4 stored runs of other trials" in out
    assert "chosen   tiny learnable default digits: recipe.lr 0.002\n" in out
    assert "chosen   tiny learnable lape digits: recipe.lr 0.004\n" in out
    assert "tiny learnable lape digits: recipe.lr 0.004\n" in lape("status", grid)
    status = answer(lape, "status", grid)
    assert (status["complete"], [one["level"] for one in status["choices"]]) == (True, ["0.002", "0.004"])
    assert status["choices"][0]["scores"][2] == {
        "level": "0.004", "validation_top1": 48.0, "runs": 1, "missing": 0, "failed": 1,
    }  # fmt: skip

    (verdict,) = answer(lape, "verify", grid)
    evidence = verdict["evidence"]
    assert (evidence["seeds"], evidence["gains"]) == ([0, 1], [2.0, 2.5])
    assert (evidence["baseline_chosen"], evidence["treatment_chosen"]) == ("0.002", "0.004")
    assert verdict["cell"].endswith("lape (lr 0.004) vs default (lr 0.002)")
    assert "(default: recipe.lr 0.002; lape: recipe.lr 0.004)" in verdict["caveats"][0]

    tables = {table["name"]: table for table in answer(lape, "tables", grid)["tables"]}
    assert len(tables["summary"]["records"]) == 2
    with (tmp_path / "reports" / "small" / "tables" / "chosen.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["recipe.lr"] for row in rows if row["chosen"] == "True"] == ["0.002", "0.004"]


def test_the_dearest_level_is_priced_until_one_is_chosen(write_grid: Write, tmp_path: Path) -> None:
    path = write_grid(
        *WHOLE[:1], *WHOLE[2:], ("epochs: 2, ", ""), ("axis: recipe.lr", "axis: recipe.epochs"),
        ("recipe.lr: [1e-3, 2e-3, 4e-3]", "recipe.epochs: [2, 7, 3]"),
    )  # fmt: skip
    opened = open_grid(str(path), (), None, tmp_path / "results")
    assert {trial.recipe.epochs for trial in opened.expansion.trials[SEARCH:]} == {7}
    assert opened.runnable.trials == opened.expansion.trials[:SEARCH]


def test_it_is_not_run_until_decided(lape: Shell, grid: Path) -> None:
    assert "a grid with `choose` can't be run until it is decided" in lape.refuses("run", grid, "--until-decided")


@pytest.mark.slow
def test_one_command_searches_chooses_and_judges(lape: Shell, grid: Path, tmp_path: Path) -> None:
    plan = answer(lape, "plan", grid)
    assert plan["trials"] == {"total": SEARCH + FINAL, "done": 0, "failed": 0, "to_do": SEARCH + FINAL}
    assert [choice["level"] for choice in plan["choices"]] == [None, None]
    out = lape("plan", grid)
    assert "a search of recipe.lr, 6 cells × 2 seeds, then 2 cells × 2 seeds at the chosen levels" in out
    assert (
        out.count("not chosen yet, 6 search runs are missing; until then its price is that of the dearest level") == 2
    )

    out = lape("run", grid, *RUN)
    assert lape.code == 0, lape.err
    assert f"{SEARCH} of {SEARCH} trials to run" in out
    assert f"{FINAL} of {SEARCH + FINAL} trials to run" in out
    assert "changed during the run" not in out
    assert seeds(tmp_path) == [0, 0, 1, 1, *[7] * 6, *[8] * 6]
    runs = tmp_path / "results" / "small" / "runs.jsonl"
    before = runs.read_bytes()
    assert f"nothing to run, all {SEARCH + FINAL} trials have been run" in lape("run", grid, *RUN)
    assert (lape.code, runs.read_bytes()) == (0, before)

    records = Store(runs.parent).records().values()
    levels = {}
    for choice in answer(lape, "plan", grid)["choices"]:
        join = next(word for word in ("default", "lape") if word in choice["side"].split())
        means = {}
        for rate in (1e-3, 2e-3, 4e-3):
            own = [one for one in records if one.join == join and one.config["recipe"]["lr"] == rate]
            searched = [one.validation_top1 or 0.0 for one in own if one.seed_index in (7, 8)]
            means[rate] = sum(searched) / 2
            assert len([one for one in own if one.seed_index in (0, 1)]) == (2 if str(rate) == choice["level"] else 0)
        assert means[float(choice["level"])] == max(means.values())
        levels[join] = choice["level"]
    status = answer(lape, "status", grid)
    assert (status["complete"], [one["level"] for one in status["choices"]]) == (True, list(levels.values()))

    (verdict,) = answer(lape, "verify", grid)
    assert (verdict["evidence"]["pairs"], verdict["evidence"]["seeds"]) == (2, [0, 1])
    shown = (verdict["evidence"]["baseline_chosen"], verdict["evidence"]["treatment_chosen"])
    assert shown == (levels["default"], levels["lape"])
    assert f"lape (lr {levels['lape']}) vs default (lr {levels['default']})" in verdict["cell"]
    assert "each side is judged at the level that was best for it on the validation images" in verdict["caveats"][0]
    finals = {(one.join, one.seed_index): one.top1 for one in records if one.seed_index < 2}
    gains = [finals["lape", seed] - finals["default", seed] for seed in (0, 1)]  # type: ignore[operator]
    assert verdict["evidence"]["gains"] == pytest.approx(gains)

    tables = {table["name"]: table for table in answer(lape, "tables", grid)["tables"]}
    assert len(tables["summary"]["records"]) == 2
    with (tmp_path / "reports" / "small" / "tables" / "chosen.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["recipe.lr"] for row in rows if row["chosen"] == "True"] == list(levels.values())
    page = (tmp_path / "reports" / "small" / "index.html").read_text(encoding="utf-8")
    assert "recipe.lr chosen by validation" in page


@pytest.mark.slow
def test_it_resumes_wherever_it_was_stopped(lape: Shell, grid: Path, tmp_path: Path) -> None:
    whole = lape("run", grid, *RUN, "--results", tmp_path / "whole")
    assert lape.code == 0, whole
    for limit in ("5", "7", "1"):  # within the search, at its end, and within the final runs
        lape("run", grid, *RUN, "--limit", limit)
        assert lape.code == 1
    assert len(seeds(tmp_path)) == 13
    lape("run", grid, *RUN)
    assert lape.code == 0
    ours, theirs = (Store(folder / "small").records() for folder in (tmp_path / "results", tmp_path / "whole"))
    assert {name: one.correct for name, one in ours.items()} == {name: one.correct for name, one in theirs.items()}


@pytest.mark.slow
def test_a_limit_holds_over_both_phases(lape: Shell, grid: Path, tmp_path: Path) -> None:
    lape("run", grid, *RUN, "--limit", str(SEARCH + 1))
    assert lape.code == 1
    assert len(seeds(tmp_path)) == SEARCH + 1

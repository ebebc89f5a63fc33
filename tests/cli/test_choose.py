"""A grid with `choose`, whole: search, choice, the chosen level with other seeds, and what every command says of it."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from suite.grid.trial import Trial
from suite.run.worker import Worker
from suite.store.folder import Store
from suite.store.record import RunRecord
from tests.cli.shell import Shell, Write
from tests.grid.test_choice import WHOLE
from tests.records import lines

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


def test_a_limit_holds_over_both_phases(lape: Shell, grid: Path, tmp_path: Path) -> None:
    lape("run", grid, *RUN, "--limit", str(SEARCH + 1))
    assert lape.code == 1
    assert len(seeds(tmp_path)) == SEARCH + 1


def test_sides_without_a_level_are_missing_and_not_done(
    lape: Shell, grid: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    works = Worker.__call__

    def fails(self: Worker, trials: Sequence[Trial], *rest: Any) -> list[RunRecord]:
        found = works(self, trials, *rest)
        gone = {"status": "diverged", "diverged_step": 1, "top1": None, "top1_best_epoch": None}
        return [one.model_copy(update=gone) if one.join == "lape" else one for one in found]

    with monkeypatch.context() as patch:
        patch.setattr(Worker, "__call__", fails)
        lape("run", grid, *RUN)
    assert lape.code == 1
    assert "none: each level has failed runs" in lape("plan", grid)
    assert seeds(tmp_path).count(0) == 1  # the other side goes on


def test_it_is_not_run_until_decided(lape: Shell, grid: Path) -> None:
    assert "a grid with `choose` can't be run until it is decided" in lape.refuses("run", grid, "--until-decided")

"""`lape verify`: the exit code and sentences, on records that were written without training."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from suite.grid.grid import load_grid
from suite.store.folder import Store
from suite.text import points
from tests.cli.shell import Shell, Write
from tests.conftest import REPOSITORY
from tests.records import make_record


def test_verify_exits_with_1_if_a_claim_is_contradicted(lape: Shell, write_grid: Write, tmp_path: Path) -> None:
    claims = tmp_path / "claims.yaml"
    claims.write_text(
        "claims: [{id: c, paper: P, version: v, table: '1', row: r, kind: published, claimed_gain: 5.0,"
        " margin: 1.0, alpha: 0.05, contrast: {axis: join, baseline: default, treatment: lape,"
        " match: {arch: tiny, dataset: digits}}}]"
    )
    path = write_grid(("[0, 1]", "[0, 1, 2]"), ("seeds:", "claims: [claims.yaml]\nseeds:"))
    for gain, code, word in ((-3.0, 1, "contradicted"), (5.0, 0, "confirmed")):
        store = Store(tmp_path / "results" / "small")
        for index, trial in enumerate(load_grid(path).expand().trials):
            store.put(make_record(trial, 50.0 + (trial.join == "lape") * (gain + 0.01 * index)))
        store.collect()
        out = lape("verify", path)
        (line,) = (line for line in out.splitlines() if line.startswith(word))
        assert line.split()[1:3] == ["r", "+5.00"]
        assert line.split()[-1] == "3"
        assert lape.code == code
        out = lape("verify", path, "--long")
        assert (lape.code, word in out) == (code, True)
        assert "  but: the exact sign-flip check can't go below p = 0.125" in out  # what says something has caveats
        assert json.loads(lape("verify", path, "--json"))[0]["word"] == word
    store.put(make_record(trial, 50.0).model_copy(update={"top1": 0.5, "top1_best_epoch": 0.5}))
    for command in ("tables", "verify", "report"):
        assert f"trial {trial.id}" in lape.refuses(command, path)
        assert "a fraction, not a percentage" in lape.err


def test_verify_tells_of_claims_that_no_runs_can_test(lape: Shell, write_grid: Write) -> None:
    claims = REPOSITORY / "grids" / "claims" / "table3.yaml"
    path = write_grid(("seeds:", f"claims: [{claims}]\nseeds:"))
    assert "not tested  ViT-Adapter-T, LaPE over default, box AP     +0.70                –      0" in lape(
        "verify", path
    )
    out = lape("verify", path, "--long")
    assert lape.code == 0
    assert "not tested: LaPE (ICCV 2023), Table 3, ViT-Adapter-T, LaPE over default, box AP" in out
    assert "claimed +0.70: not tested; object detection isn't built" in out
    assert [one["word"] for one in json.loads(lape("verify", path, "--json"))] == ["not_tested"] * 4
    assert "can't be tested: object detection isn't built" in lape("check", path)
    lape("report", path)
    assert lape.code == 0


@pytest.mark.parametrize("grid", ["l2bn_budget", "table7_budget", "diversepatch_budget"])
def test_verify_is_a_line_per_claim_that_a_terminal_shows_whole(lape: Shell, grid: str) -> None:
    """In 100 columns each claim has its name, its word and all its numbers, and no two lines are alike."""
    results = ("--results", REPOSITORY / "results")
    out = lape("verify", grid, *results).splitlines()
    told = json.loads(lape("verify", grid, *results, "--json"))
    assert max(map(len, out)) <= 100
    lines = [line for line in out if any(line.startswith(one["word"].replace("_", " ") + "  ") for one in told)]
    assert len(lines) == len(told) == len({line[:60] for line in lines})
    for line, one in zip(lines, told, strict=True):
        seen = one["evidence"]
        assert line.split()[-1] == ("0" if seen is None else str(seen["pairs"]))
        assert f"{one['claim']['claimed_gain']:+.2f}" in line
        assert seen is None or f"{points(seen['gain'])} [" in line
    assert out[-1].startswith("`lape verify")
    together = {one["together"]["sentence"] for one in told if one["together"] is not None}
    assert len([line for line in out if line.startswith("together  ")]) == len(together)
    if grid == "table7_budget":  # the answer of a whole table stands below the table too
        assert len(together) == 2
        tables = json.loads(lape("tables", grid, *results, "--json"))["tables"]
        below = [note for table in tables for note in table["notes"] if "say together" in note]
        assert len(below) == 2
        assert all(any(sentence in note for note in below) for sentence in together)


def test_verify_static(lape: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = REPOSITORY / "grids" / "claims"
    out = lape("verify", "--static", folder / "table5.yaml", "--csv", tmp_path / "counts.csv")
    assert lape.code == 0, lape.err
    assert "5,722,024" in out
    with (tmp_path / "counts.csv").open(newline="") as file:
        counts = {row["id"]: row for row in csv.DictReader(file)}
    assert (counts["t5-deit_tiny-lape"]["count"], counts["t5-deit_tiny-lape"]["word"]) == ("5722024", "confirmed")
    (tmp_path / "shipped" / "claims").mkdir(parents=True)
    for name in ("table1.yaml", "table7.yaml"):
        shutil.copy(folder / name, tmp_path / "shipped" / "claims")
    monkeypatch.setattr("suite.grid.shipped.shipped_folder", lambda: tmp_path / "shipped")
    out = lape("verify", "--static", "--json")
    assert lape.code == 1, lape.err
    told = {one["value"]["id"]: one for one in json.loads(out)}
    assert len(told) == 14
    assert told["t7-rpe2d-default-params"]["word"] == "contradicted"
    assert lape("verify", "--static", folder / "table5.yaml", "--csv", "-").startswith("id,paper,")


@pytest.mark.parametrize(
    "arguments",
    [
        ["verify"],
        ["verify", "quickstart", "cifar_subset"],
        ["verify", "quickstart", "--csv", "-"],
        ["verify", "--static", "--seeds", "3"],
        ["verify", "--static", "--long"],
        ["verify", "--static", "--set", "recipe.epochs=3"],
        ["verify", "--static", "grids/claims/table5.yaml", "--json", "--csv", "-"],
        ["verify", "--static", "grids/claims/table1.yaml"],
        ["verify", "--static", "grids/quickstart.yaml"],
        ["verify", "--static", "nowhere.yaml"],
    ],
)
def test_verify_misused(lape: Shell, monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    monkeypatch.chdir(REPOSITORY)
    lape.refuses(*arguments)

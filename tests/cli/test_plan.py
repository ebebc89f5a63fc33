"""`lape plan`, and the hints that it and `lape status` print."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import pytest
import torch

from suite.bench import half_precision
from suite.grid.grid import load_grid
from suite.store.folder import Store
from suite.verdict import stats
from tests.cli.shell import Shell, Write
from tests.conftest import REPOSITORY
from tests.records import make_record


def test_plan(lape: Shell, write_grid: Write) -> None:
    path = write_grid(("seeds:", "exclude: [{when: {join: lape}, reason: too dear}]\nseeds:"))
    out = lape("plan", path, "--set", "recipe.epochs=5", "--seeds", "7")
    assert "1 cell × 7 seeds" in out
    assert "7: 0 done, 0 failed, 7 to do" in out
    assert "unknown before a first trial" in out
    assert "tiny learnable lape ln default digits: too dear" in out
    assert "80 % power" in out
    assert "one seed can't show any gain" in lape("plan", path, "--seeds", "1")


def test_power_is_told_at_the_level_of_the_claims(lape: Shell, tmp_path: Path) -> None:
    """Two claims of table2 on 3 pairs each share α: by the noncentral t, 3.26 sd at 0.025, 2.30 at 0.05."""
    out = lape("plan", "cifar_subset", "--seeds", "3", "--results", tmp_path)
    assert "3 pairs show a gain of 3.26 standard deviations" in out
    assert "(80 % power, α 0.025, as 2 claims are tested)" in out
    told = json.loads(lape("plan", "cifar_subset", "--seeds", "3", "--results", tmp_path, "--json"))
    (one,) = told["power_by_level"]
    assert (one["level"], len(one["claims"])) == (0.025, 2)
    assert one["standard_deviations"] > told["power"]["standard_deviations"]


@pytest.mark.parametrize("grid", ["table4_pretrained", "robustness_cifar"])
def test_power_is_of_the_metric_of_the_claims(lape: Shell, monkeypatch: pytest.MonkeyPatch, grid: str) -> None:
    """The spread is that of the gains that are judged: of mIoU, of an error on corrupted images; of any axis."""
    monkeypatch.chdir(REPOSITORY)
    verdicts = json.loads(lape("verify", grid, "--json"))
    spreads = [statistics.stdev(one["evidence"]["gains"]) for one in verdicts]
    level = 0.05 / len(verdicts)
    low, high = (stats.smallest_gain(5, end(spreads), level) for end in (min, max))
    assert f"from {low:.2f} to {high:.2f} points, by the spread" in lape("plan", grid)
    (told,) = json.loads(lape("plan", grid, "--json"))["power_by_level"]
    assert (told["points_low"], told["points_high"]) == pytest.approx((low, high))


def test_plan_estimates_from_stored_runs(lape: Shell, finished: Path) -> None:
    out = lape("plan", finished, "--seeds", "4")
    assert "8: 4 done, 0 failed, 4 to do" in out
    assert "about 40 s" in out  # ten seconds each
    out = lape("plan", finished, "--set", "recipe.epochs=6")
    assert "besides  4 stored runs of other trials" in out
    assert "about 2 min" in out  # thrice the epochs


def test_the_plan_of_a_grid_that_cant_run_says_why(lape: Shell) -> None:
    out = lape("plan", REPOSITORY / "grids" / "table3.yaml")
    assert "nothing to run: object detection on COCO isn't built" in out
    assert "4, not tested by this grid" in out
    assert "pairs show" not in out


def test_hints_can_be_typed(lape: Shell, write_grid: Write, tmp_path: Path) -> None:
    path = write_grid(name="my grid.yaml")
    store = Store(tmp_path / "results" / "small")
    store.put(make_record(load_grid(path).expand().trials[0], status="timeout", error="late"))
    out = lape("status", path, "--set", "axes.join=[default]")
    assert f"`lape run '{path}' --set 'axes.join=[default]' --retry timeout` runs them again" in out
    assert f"`lape run '{path}' --limit 2`" in lape("plan", path)


def test_grids_can_be_named(lape: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(REPOSITORY)
    assert "24" in lape("plan", "quickstart", "--results", tmp_path)
    assert "did you mean 'quickstart'" in lape.refuses("plan", "quikstart")


def test_a_cpu_that_is_slow_in_bfloat16_is_told_before_hours_are_spent(
    lape: Shell, write_grid: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = {torch.float32: 84e9, torch.bfloat16: 10e9}
    monkeypatch.setattr(half_precision, "matmul_rate", lambda device, dtype, threads: rates[dtype])
    grid = write_grid()
    for command in (("plan",), ("run", "--executor", "serial", "--limit", "1")):
        lape(command[0], grid, *command[1:], "--set", "recipe.precision=bf16")
        assert "bfloat16 is slow on this CPU" in lape.err, command
        assert "8.4 times as long as in float32. --set recipe.precision=fp32" in lape.err
    lape("plan", grid, "--set", "recipe.precision=bf16", "--device", "cuda")
    assert "bfloat16" not in lape.err
    lape("plan", grid)
    assert "bfloat16" not in lape.err
    rates[torch.bfloat16] = 170e9
    lape("plan", grid, "--set", "recipe.precision=bf16")
    assert "bfloat16" not in lape.err


def test_printed_commands_name_the_folder_of_the_results(lape: Shell, write_grid: Write, tmp_path: Path) -> None:
    path = write_grid()
    assert "--results" not in lape("plan", path)
    elsewhere = tmp_path / "elsewhere"
    assert f"--results {elsewhere} --calibrate`" in lape("plan", path, "--results", elsewhere)

"""`lape run`, `lape status` and `lape rerun`, with the serial executor."""

from __future__ import annotations

from pathlib import Path

from suite.grid.grid import load_grid
from suite.store.folder import Store
from tests.cli.shell import Shell, Write
from tests.records import lines, make_record


def test_the_whole_path(lape: Shell, write_grid: Write, tmp_path: Path) -> None:
    path = write_grid()
    out = lape("run", path, "--executor", "serial")
    assert lape.code == 0, lape.err
    assert "4 of 4 trials to run" in out
    assert "4/4 done" in out
    assert "names no claims" in out
    assert "report: reports/small/index.html" in out
    report = tmp_path / "reports" / "small"
    assert {file.name for file in report.iterdir()} >= {"index.html", "tables", "figures", "verdicts.json"}
    runs = tmp_path / "results" / "small" / "runs.jsonl"
    assert {run["status"] for run in lines(runs)} == {"done"}

    before = runs.read_bytes()
    out = lape("run", path, "--executor", "serial")
    assert (lape.code, runs.read_bytes()) == (0, before)
    assert "nothing to run, all 4 trials have been run" in out

    lape("run", path, "--executor", "serial", "--seeds", "3")
    assert len(lines(runs)) == 6
    assert [line for line in before.splitlines() if line not in runs.read_bytes().splitlines()] == []


def test_a_run_that_is_not_complete_says_so_by_its_exit_code(lape: Shell, write_grid: Write) -> None:
    path = write_grid()
    lape("run", path, "--executor", "serial", "--limit", "1")
    assert lape.code == 1
    assert "1/4 done, 3 to do" in lape("status", path)
    assert "about" in lape("plan", path)


def test_a_failure_is_listed_and_retried(lape: Shell, write_grid: Write, tmp_path: Path) -> None:
    path = write_grid()
    trial = load_grid(path).expand().trials[0]
    store = Store(tmp_path / "results" / "small")
    store.put(make_record(trial, status="error", error="Traceback\nRuntimeError: boom"))
    lape("run", path, "--executor", "serial")
    assert lape.code == 1
    out = lape("status", path)
    assert "1 failed (1 error)" in out
    assert f"{trial.id} error" in out
    assert "RuntimeError: boom" in out
    lape("run", path, "--executor", "serial", "--retry", "error")
    assert lape.code == 0


def test_one_trial_again(lape: Shell, write_grid: Write, tmp_path: Path) -> None:
    path = write_grid()
    trial = load_grid(path).expand().trials[1]
    assert "this one is stored" in lape("rerun", trial.id, "--grid", path)
    assert lape.code == 0
    assert "the same" in lape("rerun", trial.id[:9].upper(), "--grid", path)
    assert lape.code == 0
    runs = tmp_path / "results" / "small" / "runs.jsonl"
    runs.write_text(runs.read_text().replace('"status":"done"', '"status":"oom"'))
    assert "different in status" in lape("rerun", trial.id, "--grid", path)
    assert lape.code == 1
    assert "no trial has an id" in lape.refuses("rerun", "zzzz", "--grid", path)
    assert "more than one trial" in lape.refuses("rerun", "", "--grid", path)


def test_a_trial_of_a_grid_that_is_not_in_grids_is_told_with_its_results(
    lape: Shell, finished: Path, tmp_path: Path
) -> None:
    trial = load_grid(finished).expand().trials[1]
    told = lape.refuses("rerun", trial.id[:8])
    assert f"found:      its record, in {Path('results') / 'small'}\n" in told
    assert "where:      grids/, and the grids that come with the suite\n" in told
    assert "give the file of the grid 'small' with --grid FILE" in told
    told = lape.refuses("rerun", "zzzz")
    assert "found:      none\n" in told
    assert "with --grid FILE if it isn't in grids/\n" in told
    assert len(told) < 600

"""Records that were made by other code than that at hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from suite.grid.grid import load_grid
from suite.store.folder import RUNS, Store
from suite.store.same_code import SAME_CODE, write_same_code
from tests.cli.shell import Shell


def change_code(folder: Path, join: str, seeds: tuple[int, ...] = (0, 1)) -> list[str]:
    """Let the records of a joining method be of other code; their trials."""
    path, changed, lines = folder / RUNS, [], []
    for line in path.read_text().splitlines():
        values = json.loads(line)
        if values["join"] == join and values["seed_index"] in seeds:
            values["code"]["join"] = "0123456789abcdef"
            changed.append(values["trial_id"])
        lines.append(json.dumps(values))
    path.write_text("\n".join(lines) + "\n")
    return changed


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    return tmp_path / "results" / "small"


def test_a_run_asks_and_changes_nothing(lape: Shell, finished: Path, folder: Path) -> None:
    changed = change_code(folder, "lape")
    before = (folder / RUNS).read_bytes()
    told = lape.refuses("run", finished, "--executor", "serial")
    assert "2 stored runs were made by other code" in told
    assert all(f"{name} (" in told for name in changed)
    assert "the code of join lape" in told
    assert (folder / RUNS).read_bytes() == before
    out = lape("plan", finished)
    assert lape.code == 0
    assert "2 stored runs were made by other code" in out
    assert "--stale rerun" in out
    assert "unknown word on stale records 'sometimes'" in lape.refuses("run", finished, "--stale", "sometimes")


def test_they_are_kept_on_demand(lape: Shell, finished: Path, folder: Path) -> None:
    change_code(folder, "lape", (0,))
    before = (folder / RUNS).read_bytes()
    out = lape("run", finished, "--executor", "serial", "--stale", "keep")
    assert lape.code == 0, lape.err
    assert "nothing to run" in out
    assert "the runs of the gain mix different code of join" in out.replace("\n", " ").replace("  ", " ")
    assert (folder / RUNS).read_bytes() == before
    assert "different code of join" in " ".join(lape("tables", finished).split())


def test_they_are_trained_again_on_demand(lape: Shell, finished: Path, folder: Path) -> None:
    changed = change_code(folder, "lape")
    before = Store(folder).records()
    out = lape("run", finished, "--executor", "serial", "--stale", "rerun")
    assert lape.code == 0, lape.err
    assert "2 of 4 trials to run" in out
    after, trials = Store(folder).records(), load_grid(finished).expand().trials
    assert {name for name in after if after[name] != before[name]} == set(changed)
    assert {trial.id: trial.code for trial in trials} == {name: record.code for name, record in after.items()}
    assert "stale" not in lape("plan", finished)


@pytest.fixture
def trained(lape: Shell, finished: Path, folder: Path) -> list[str]:
    """Trials whose records are those of real training runs, by other code."""
    change_code(folder, "lape")
    lape("run", finished, "--executor", "serial", "--stale", "rerun")
    return change_code(folder, "lape")


def test_one_of_them_is_trained_again_for_all(lape: Shell, finished: Path, folder: Path, trained: list[str]) -> None:
    before = (folder / RUNS).read_bytes()
    told = " ".join(lape("plan", finished).split())
    assert "--stale verify` trains 1 of them again" in told
    out = " ".join(lape("run", finished, "--executor", "serial", "--stale", "verify").split())
    assert lape.code == 0, lape.err + out
    assert "check 1 of 1" in out
    assert "the same result with today's code: 2 stored runs are no longer stale" in out
    assert (folder / RUNS).read_bytes() == before  # no record changes
    (proof,) = Store(folder).same_code()
    assert proof.trial_id in trained
    assert proof.older["join"] == "0123456789abcdef"
    assert "stale" not in lape("plan", finished)
    assert "nothing to run" in lape("run", finished, "--executor", "serial")
    assert "different code" not in lape("tables", finished)
    assert "different code" not in lape("verify", finished, "--long")
    out = lape("rerun", proof.trial_id, "--grid", finished)
    assert (lape.code, out.splitlines()[-1]) == (0, "the same"), out
    # Only of that code, and in that scope.
    write_same_code(folder, [proof.model_copy(update={"older": {**proof.older, "join": "f" * 16}})])
    assert "2 stored runs were made by other code" in lape("plan", finished)
    write_same_code(folder, [proof.model_copy(update={"scope": "f" * 16})])
    assert "2 stored runs were made by other code" in lape("plan", finished)


def test_what_is_not_the_same_stays_stale(lape: Shell, finished: Path, folder: Path) -> None:
    change_code(folder, "lape")  # of made-up records, which no training gives
    told = " ".join(lape.refuses("run", finished, "--executor", "serial", "--stale", "verify").split())
    assert "2 stored runs were made by other code" in told
    assert "different in top1" in (out := " ".join(lape.out.split()))
    assert "2 stored runs stay stale" in out
    assert Store(folder).same_code() == []


def test_a_damaged_proof_is_named(lape: Shell, finished: Path, folder: Path) -> None:
    (folder / SAME_CODE).write_text("{}\n")
    told = lape.refuses("plan", finished)
    assert "a damaged line on code that was checked" in told
    assert "line 1" in told


def test_records_without_fingerprints_are_never_stale(lape: Shell, finished: Path, folder: Path) -> None:
    lines = [json.loads(line) for line in (folder / RUNS).read_text().splitlines()]
    old = [{**{key: value for key, value in one.items() if key != "code"}, "schema_version": 2} for one in lines]
    (folder / RUNS).write_text("\n".join(map(json.dumps, old)))
    assert "nothing to run" in lape("run", finished, "--executor", "serial")
    assert lape.code == 0

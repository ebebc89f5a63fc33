"""`lape run --until-decided`, and what plan, status and report say of it."""

from __future__ import annotations

import json
from pathlib import Path

from suite.grid.grid import load_grid
from suite.store.folder import Store
from tests.cli.shell import Shell, Write
from tests.records import make_record

CLAIM = """\
paper: nobody
version: "1"
table: none
test: {alpha: 0.05, margin_share: "0.5", side: greater, max_pairs: 5}
claims:
  - id: mine
    row: lape over default
    kind: own
    claimed_gain: 1
    contrast:
      axis: join
      baseline: default
      treatment: lape
      match: {arch: tiny, pe: learnable, norm: ln, loss: default, dataset: digits}
"""


def a_grid(write_grid: Write, tmp_path: Path) -> Path:
    (tmp_path / "mine.yaml").write_text(CLAIM)
    path = write_grid()
    path.write_text(path.read_text() + "claims: [mine.yaml]\n")
    return path


def store_pairs(path: Path, folder: Path, gains: list[float]) -> None:
    store = Store(folder)
    for trial in load_grid(path).with_seeds(len(gains)).expand().trials:
        gain = gains[trial.seed_index] if trial.join == "lape" else 0.0
        store.put(make_record(trial, 60.0 + gain + 0.1 * (trial.seed_index % 3), test_images=None, correct=None))
    store.collect()


def test_nothing_is_run_once_a_claim_is_decided(lape: Shell, write_grid: Write, tmp_path: Path) -> None:
    path = a_grid(write_grid, tmp_path)
    store_pairs(path, tmp_path / "results" / "small", [5.0, 5.2, 5.1])
    out = lape("run", path, "--until-decided", "--executor", "serial")
    assert lape.code == 0, lape.err
    assert "every claim has come to its end" in out
    assert "mine: 3 pairs of at most 5, +5.10" in out
    assert "gain here, since pair 3" in out
    # The seed that the grid doesn't name counts too, as the claim file allows.
    (told,) = json.loads(lape("verify", path, "--json"))
    assert (told["word"], told["evidence"]["pairs"]) == ("gain_here", 3)
    found = json.loads(lape("status", path, "--json"))["claims"]
    assert [step["pairs"] for step in found[0]["path"]] == [1, 2, 3]
    assert (found[0]["word"], found[0]["max_pairs"]) == ("gain_here", 5)
    assert "mine: 3 pairs of at most 5" in lape("status", path)
    lape("report", path)
    page = (tmp_path / "reports" / "small" / "index.html").read_text()
    assert "How they were decided, pair by pair" in page
    assert "gain here since pair 3; 3 pairs of at most 5" in page
    assert (tmp_path / "reports" / "small" / "figures" / "path-01.svg").exists()


def test_pairs_are_trained_up_to_the_largest_number(lape: Shell, write_grid: Write, tmp_path: Path) -> None:
    path = a_grid(write_grid, tmp_path)
    store_pairs(path, tmp_path / "results" / "small", [4.0, -4.0, 3.0])
    out = lape("plan", path)
    assert "mine: 3 of at most 5 pairs" in out
    assert "is found with 80 % power (points)" in out
    out = lape("run", path, "--until-decided", "--executor", "serial", "--limit", "2")
    assert (lape.code, "mine: 4 pairs of at most 5" in out) == (1, True), out + lape.err
    out = lape("run", path, "--until-decided", "--executor", "serial")
    assert lape.code == 0, lape.err
    assert "until decided, at most 2 trials to run" in out
    assert "; all 5 pairs are run" in out
    assert len(Store(tmp_path / "results" / "small").records()) == 10


def test_what_can_not_be_decided(lape: Shell, write_grid: Write) -> None:
    path = write_grid()
    assert "nothing to decide" in lape.refuses("run", path, "--until-decided")
    assert "hours without --until-decided" in lape.refuses("run", path, "--hours", "1")

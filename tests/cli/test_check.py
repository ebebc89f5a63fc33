"""`lape check`: grids and files of claims."""

from __future__ import annotations

from pathlib import Path

from tests.cli.shell import Shell, Write
from tests.cli.test_segmentation import CLAIMS
from tests.conftest import REPOSITORY


def test_check_tells_all_that_is_wrong_in_all_files(lape: Shell, write_grid: Write) -> None:
    good = write_grid(name="good.yaml")
    assert f"{good}: 4 trials, 0 dropped cells, 0 claims" in lape("check", good)
    bad = write_grid(("[learnable]", "[lernable]"), name="bad.yaml")
    worse = write_grid(("seeds: [0, 1]", "seeds: []\nclaims: [nowhere.yaml]"), name="worse.yaml")
    message = lape.refuses("check", good, bad, worse)
    assert "bad.yaml, line" in message
    assert "worse.yaml, line" in message
    claims = write_grid(("seeds:", "claims: [nowhere.yaml]\nseeds:"), name="claims.yaml")
    for command in ("check", "plan", "run"):  # before the training, not after it
        assert "no such file" in lape.refuses(command, claims)
        assert "to run" not in lape.out


def test_check_tells_of_claims_that_a_grid_leaves_untested(lape: Shell, write_grid: Write) -> None:
    claims = REPOSITORY / "grids" / "claims" / "quickstart.yaml"
    path = write_grid(("seeds:", f"claims: [{claims}]\nseeds:"))
    out = lape("check", path)
    assert lape.code == 0
    assert "note: no two cells of this grid are those of the claim 'digits-table2-cct' (it has no arch " in out
    assert "2 to judge, 2 not tested by this grid" in lape("plan", path)


def test_check_tells_of_a_metric_that_the_task_does_not_have(lape: Shell, write_grid: Write, tmp_path: Path) -> None:
    (tmp_path / "masks.yaml").write_text(CLAIMS)
    path = write_grid(("seeds:", "claims: [masks.yaml]\nseeds:"))
    told = "the claim 'scenes-miou' is about miou, which only runs of the task segmentation have"
    assert told in lape("check", path)
    assert "is about" not in lape("check", "table4_budget")


def test_expectations_of_no_cell_are_told(lape: Shell, write_grid: Write) -> None:
    path = write_grid(("seeds:", "expect: [{when: {arch: deit_tiny}, top1: 50, source: a}]\nseeds:"))
    assert "no cell of this grid is one of the entry in" in lape("check", path)
    assert "no entry names any of its cells" in lape("plan", path)


def test_check_audits_claim_files(lape: Shell, write_grid: Write, tmp_path: Path) -> None:
    folder = REPOSITORY / "grids" / "claims"
    out = lape("check", write_grid(), folder / "table6.yaml", folder / "table5.yaml")
    assert lape.code == 0, lape.err
    assert "small.yaml: 4 trials" in out
    assert "table6.yaml: 12 values, 0 claims, 6 statements (adds up 4, only by rounding 2)" in out
    assert "DeiT-B, LaPE over default, time (s/epoch), +0.51 % is stated; 590 over 588 is +0.34 %" in out
    bad = tmp_path / "bad.yaml"
    bad.write_text((folder / "table5.yaml").read_text().replace("join: lape}", "join: lap}", 1))
    message = lape.refuses("check", bad)
    line = next(n for n, text in enumerate(bad.read_text().splitlines(), 1) if "join: lap}" in text)
    assert f"bad.yaml, line {line}" in message
    assert "did you mean 'lape'" in message


def test_check_refuses_two_grids_of_one_name(lape: Shell, write_grid: Write) -> None:
    one, two = write_grid(name="one.yaml"), write_grid(name="two.yaml")
    message = lape.refuses("check", one, two)
    assert "two grids of the same name, 'small'" in message
    assert "two.yaml, line 2" in message
    lape("check", one, one)
    assert lape.code == 0

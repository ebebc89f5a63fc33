from __future__ import annotations

from collections import Counter

from suite.report.index.entries import NO_GRID
from suite.verdict.claims.reader import load_claims
from tests.conftest import REPOSITORY
from tests.report.index.conftest import Index


def test_every_claim_of_every_file_has_a_line(index: Index) -> None:
    shipped = load_claims(sorted((REPOSITORY / "grids" / "claims").glob("*.yaml")))
    assert {claim.id for claim in shipped} == {entry.claim.id for entry in index.lines}


def test_a_claim_has_a_line_for_each_grid_that_can_test_it(index: Index) -> None:
    grids = [entry.grid for entry in index.lines if entry.claim.id == "lape-table2-cvt_7_4-lape-cifar10"]
    assert sorted(grids) == ["table2", "table2_budget"]
    # A claim that its grid can't test has one line, of the paper's own budget if a grid has that.
    (swin,) = (entry for entry in index.lines if entry.claim.id == "diversepatch-swin_base-gain")
    assert (swin.grid, swin.claim.kind, swin.testable) == ("diversepatch_imagenet", "published", False)


def test_what_isnt_tested_has_its_reason_and_what_it_costs(index: Index) -> None:
    untested = [entry for entry in index.lines if entry.verdict.word == "not_tested"]
    assert untested
    assert all(entry.reason for entry in untested)
    assert not any(entry.reason or entry.cost for entry in index.lines if entry.verdict.word != "not_tested")
    reasons = {(entry.grid, entry.reason) for entry in untested}
    assert any(grid == "l2bn" and "its networks aren't built" in reason for grid, reason in reasons)
    assert ("table2", "not run yet") in reasons
    assert ("", NO_GRID) in reasons  # a claim file that no grid names
    costs = {(entry.grid, entry.cost) for entry in untested if entry.cost}
    assert ("table2", "10 runs of 300 epochs; time unknown") in costs
    assert ("table8_budget", "6 runs of 10 epochs; 4 min 41 s in all on one core of an AMD EPYC") in costs
    assert all(cost == "" for _, cost in ((entry.grid, entry.cost) for entry in untested if entry.claim.obstacle))


def test_the_date_is_that_of_the_last_run(index: Index) -> None:
    (workspace,) = (one for one in index.workspaces if one.grid.name == "cifar_subset")
    (entry,) = (one for one in index.lines if one.claim.id == "cifar-subset-table2-cct")
    days = [record.started_at[:10] for record in workspace.records.values() if record.arch == "cct_2_3x2"]
    assert entry.date == max(days)


def test_the_order_is_that_of_papers_and_tables_those_with_runs_first(index: Index) -> None:
    papers = list(dict.fromkeys(entry.claim.paper for entry in index.lines))
    sizes = Counter(paper for paper, _ in {(entry.claim.paper, entry.claim.id) for entry in index.lines})
    assert papers[-1] == "this suite"
    assert [sizes[paper] for paper in papers[:-1]] == sorted((sizes[paper] for paper in papers[:-1]), reverse=True)
    tables = list(dict.fromkeys(entry.table for entry in index.lines if entry.claim.paper == "LaPE"))
    assert tables[:3] == ["ICCV 2023, Table 2", "ICCV 2023, Table 1", "ICCV 2023, Table 3"]

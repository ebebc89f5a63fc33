from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from suite.claims import load_claims, untested
from suite.errors import InputError
from suite.grid import load_grid
from tests.conftest import REPOSITORY

CLAIM_FILES = sorted((REPOSITORY / "grids" / "claims").glob("*.yaml"))
PAPER_ARCH = {"ViT-Lite-7/4": "vit_lite_7_4", "CCT-7/3×1": "cct_7_3x1"}


@pytest.fixture
def write_claims(tmp_path: Path) -> Callable[..., Path]:
    """The quickstart's claim file, with parts of its text replaced."""

    def write(*replacements: tuple[str, str]) -> Path:
        text = (REPOSITORY / "grids" / "claims" / "quickstart.yaml").read_text()
        for old, new in replacements:
            assert old in text
            text = text.replace(old, new, 1)
        path = tmp_path / "claims.yaml"
        path.write_text(text)
        return path

    return write


def test_the_committed_claim_files_are_valid() -> None:
    claims = load_claims(CLAIM_FILES)
    assert len(CLAIM_FILES) >= 2
    assert len(claims) >= 4


@pytest.mark.parametrize("path", CLAIM_FILES, ids=lambda path: path.stem)
def test_claimed_numbers_are_those_of_the_paper(path: Path, shared: Path) -> None:
    with (shared / "claims" / "lape_iccv2023.csv").open(newline="") as file:
        published = {(r["table"], r["arch"], r["join"], r["dataset"]): float(r["value"]) for r in csv.DictReader(file)}
    for claim in load_claims([path]):
        arch, dataset = claim.row.split(", ")
        at = (claim.table, PAPER_ARCH[arch])
        name = dataset.lower().replace("-", "")
        assert claim.claimed_baseline == published[*at, claim.contrast.baseline, name]
        assert claim.claimed_treatment == published[*at, claim.contrast.treatment, name]
        assert claim.claimed_gain == pytest.approx(claim.claimed_treatment - claim.claimed_baseline, abs=1e-9)


def test_margins_exclude_zero() -> None:
    for claim in load_claims(CLAIM_FILES):
        assert claim.margin < claim.claimed_gain, claim.id


def test_an_analogue_says_so_in_its_title() -> None:
    for claim in load_claims(CLAIM_FILES):
        assert claim.title.startswith("analogue of LaPE (ICCV 2023), Table 2") == (claim.kind == "analogue")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("margin: 0.421", "margins: 0.421", "did you mean 'margin'"),
        ("margin: 0.421", "margin: 0", "greater than 0"),
        ("margin: 0.421", 'margin: "0.421"', "valid number"),
        ("margin: 0.421", "margin: 0.842", "a margin (0.842) below the claimed gain (0.842)"),
        ("margin: 0.421", "margin: 5", "a margin (5) below the claimed gain (0.842)"),
        ("alpha: 0.05", "alpha: 1e-300", "greater than or equal to 0.0001"),
        ("treatment: lape", "treatment: lap", "did you mean 'lape'"),
        ("pe: learnable", "pe: learnabel", "did you mean 'learnable'"),
        ("treatment: lape", "treatment: default", "that differ"),
        ("dataset: digits", "datasets: digits", "did you mean 'dataset'"),
        ("dataset: digits}", "dataset: digits, join: lape}", "only axes to match"),
        ("claimed_gain: 0.842", "claimed_gain: 0.942", "claimed_treatment − claimed_baseline"),
        ("    published_for: ViT-Lite-7/4 on CIFAR-10, 300 epochs, mean of 5 seeds\n", "", "published_for"),
        ("kind: analogue", "kind: similar", "'published' or 'analogue'"),
        ("    metric: top1\n", "    metric: top5\n", "'top1' or 'top1_best_epoch'"),
        ("    claimed_gain: 0.842\n", "", "'claims.0.claimed_gain' is missing"),
        ("min_pairs: 3", "min_pairs: 1", "greater than or equal to 2"),
        ("id: digits-table2-vit-lite", "id: Digits Table", "match pattern"),
    ],
)
def test_a_wrong_claim_file_says_what_and_where(
    write_claims: Callable[..., Path], old: str, new: str, message: str
) -> None:
    with pytest.raises(InputError) as caught:
        load_claims([write_claims((old, new))])
    assert message in str(caught.value)
    assert "claims.yaml, line " in str(caught.value)


def test_an_id_that_stands_twice(write_claims: Callable[..., Path]) -> None:
    told = r"'digits-table2-vit-lite' stands twice(?s:.*)quickstart.yaml, line 7(?s:.*)claims.yaml, line 7"
    with pytest.raises(InputError, match=told):
        load_claims([REPOSITORY / "grids" / "claims" / "quickstart.yaml", write_claims()])


def test_the_same_file_named_twice_is_read_once(write_claims: Callable[..., Path]) -> None:
    path = write_claims()
    assert len(load_claims([path, str(path)])) == 2


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load_claims([tmp_path / "none.yaml"])


@pytest.mark.parametrize("name", ["quickstart", "cifar_subset"])
def test_each_grid_of_the_project_tests_all_its_claims(name: str) -> None:
    grid = load_grid(REPOSITORY / "grids" / f"{name}.yaml")
    claims = load_claims(CLAIM_FILES)
    own = {claim.id for claim in load_claims(grid.claim_files)}
    assert {claim.id for claim in untested(claims, grid.expand().trials)} == {claim.id for claim in claims} - own


@pytest.mark.parametrize(
    ("override", "count"),
    [
        ("axes.join=[lape]", 2),
        ("axes.join=[default,unshared]", 2),
        ("axes.pe=[sin1d]", 2),
        ("axes.arch=[cct_digits]", 1),
        ("recipe.epochs=3", 0),
    ],
)
def test_claims_that_a_grid_leaves_untested(override: str, count: int) -> None:
    grid = load_grid(REPOSITORY / "grids" / "quickstart.yaml", [override, "impossible=drop"])
    assert len(untested(load_claims(grid.claim_files), grid.expand().trials)) == count

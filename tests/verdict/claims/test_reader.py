from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from suite.errors import InputError
from suite.grid.grid import load_grid
from suite.verdict.claims.claim import untested
from suite.verdict.claims.reader import load_claims
from tests.conftest import REPOSITORY
from tests.verdict.claims.test_registered import registered

GRIDS = ("quickstart", "cifar_subset")

# A claim with all of its keys, and one that names the values of a table.
TYPED = """
claims:
  - id: typed
    paper: LaPE
    version: ICCV 2023
    table: "2"
    row: ViT-Lite-7/4, CIFAR-10
    kind: analogue
    published_for: ViT-Lite-7/4 on CIFAR-10, 300 epochs, mean of 5 seeds
    contrast:
      axis: join
      baseline: default
      treatment: lape
      match: {arch: vit_lite_digits, pe: learnable, norm: ln, loss: default, dataset: digits}
    metric: top1
    claimed_baseline: 93.448
    claimed_treatment: 94.290
    claimed_gain: 0.842
    margin: 0.421
    alpha: 0.05
    side: greater
    min_pairs: 3
"""
NAMED = """
paper: LaPE
version: ICCV 2023
table: "2"
evidence: printed_table
metric: top1_best_epoch
epochs: 300
runs: 5
cell: {pe: learnable, dataset: cifar10}
test: {alpha: 0.05, margin_share: "0.5"}
values:
  - {id: base, group: ViT-Lite-7/4, row: basic, column: C10, cell: {arch: vit_lite_7_4, join: default}, printed: "93.4"}
  - {id: ours, group: ViT-Lite-7/4, row: LaPE, column: C10, cell: {arch: vit_lite_7_4, join: lape}, printed: "94.30"}
  - {id: sine, row: LaPE, column: C10, cell: {arch: vit_lite_7_4, pe: sin1d, join: lape}, printed: "95"}
  - {id: tiny, row: LaPE, column: Top-1, cell: {arch: vit_lite_7_4, join: lape}, metric: top1, printed: "94"}
claims:
  - {id: gain, baseline: base, treatment: ours}
stated:
  - {id: said, where: abstract, quantity: difference, baseline: base, treatment: ours, printed: "+0.9"}
"""


@pytest.fixture
def write_claims(tmp_path: Path) -> Callable[..., Path]:
    """A claim file: one of the texts above, with parts of it replaced."""

    def write(*replacements: tuple[str, str], text: str = TYPED, name: str = "claims.yaml") -> Path:
        for old, new in replacements:
            assert old in text
            text = text.replace(old, new, 1)
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def test_a_claim_takes_its_numbers_from_the_values_that_it_names(write_claims: Callable[..., Path]) -> None:
    (claim,) = load_claims([write_claims(text=NAMED)])
    assert claim.title == "LaPE (ICCV 2023), Table 2, ViT-Lite-7/4, LaPE over basic, C10"
    assert (claim.claimed_baseline, claim.claimed_treatment, claim.claimed_gain) == (93.4, 94.3, 0.9)
    assert (claim.margin, claim.alpha, claim.metric, claim.kind) == (0.45, 0.05, "top1_best_epoch", "published")
    contrast = claim.contrast
    assert (contrast.axis, contrast.baseline, contrast.treatment) == ("join", "default", "lape")
    match = {"arch": "vit_lite_7_4", "pe": "learnable", "norm": "ln", "loss": "default", "dataset": "cifar10"}
    assert contrast.match == match


def test_the_weaker_evidence_and_the_reason_of_either_side_hold(write_claims: Callable[..., Path]) -> None:
    path = write_claims(('printed: "93.4"', 'printed: "93.4", evidence: second_hand, not_runnable: no'), text=NAMED)
    (claim,) = load_claims([path])
    assert (claim.evidence, claim.not_runnable) == ("second_hand", "no")


def test_an_analogue_is_measured_in_its_own_way(write_claims: Callable[..., Path]) -> None:
    write_claims(("runs: 5", "runs: 5\nnot_runnable: too dear"), text=NAMED, name="table.yaml")
    head, _, contrast = TYPED.partition("    contrast:")
    text = f"refer_to: [table.yaml]\ntest: {{alpha: 0.05, margin_share: '0.5'}}\n{head}    contrast:{contrast}"
    named = text[: text.index("    claimed_baseline")] + "    baseline: base\n    treatment: ours\n"
    (claim,) = load_claims([write_claims(("    metric: top1\n", ""), text=named)])
    assert (claim.kind, claim.metric, claim.obstacle, claim.claimed_gain) == ("analogue", "top1", "", 0.9)
    assert claim.contrast.match["arch"] == "vit_lite_digits"


def test_a_reason_at_the_top_holds_for_claims_on_values_of_other_files(write_claims: Callable[..., Path]) -> None:
    write_claims(text=NAMED, name="table.yaml")
    text = "refer_to: [table.yaml]\nnot_runnable: too dear\ntest: {alpha: 0.1, margin_share: '0.4'}\n"
    (claim,) = load_claims([write_claims(text=text + "claims: [{id: c, baseline: base, treatment: ours}]")])
    assert claim.obstacle == "too dear"


def test_an_id_of_a_file_that_is_referred_to_is_taken(write_claims: Callable[..., Path]) -> None:
    write_claims(text=NAMED, name="table.yaml")
    path = write_claims(("values:", "refer_to: [table.yaml]\nvalues:"), text=NAMED)
    with pytest.raises(InputError, match=r"'base' stands twice(?s:.*)table.yaml, line 12(?s:.*)claims.yaml, line 13"):
        load_claims([path])


def test_several_axes_can_be_declared(write_claims: Callable[..., Path]) -> None:
    path = write_claims(("treatment: ours}", "treatment: sine, differ: [join, pe]}"), text=NAMED)
    (claim,) = load_claims([path])
    assert "differ in join and pe" in claim.obstacle


def test_margins_exclude_zero() -> None:
    for claim in registered():
        assert claim.margin < claim.claimed_gain, claim.id


def test_an_analogue_says_so_in_its_title() -> None:
    for claim in registered():
        assert claim.title.startswith(f"analogue of {claim.paper} (") == (claim.kind == "analogue")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("margin: 0.421", "margins: 0.421", "did you mean 'margin'"),
        ("margin: 0.421", "margin: 0", "a number above 0"),
        ("margin: 0.421", 'margin: "0.421"', "expected:   a number"),
        ("margin: 0.421", "margin: 0.842", "a margin (0.842) below the claimed gain (0.842)"),
        ("margin: 0.421", "margin: 5", "a margin (5) below the claimed gain (0.842)"),
        ("alpha: 0.05", "alpha: 1e-300", "a number of at least 0.0001"),
        ("treatment: lape", "treatment: lap", "did you mean 'lape'"),
        ("pe: learnable", "pe: learnabel", "did you mean 'learnable'"),
        ("treatment: lape", "treatment: default", "that differ"),
        ("dataset: digits", "datasets: digits", "did you mean 'dataset'"),
        ("dataset: digits}", "dataset: digits, join: lape}", "expected:   another axis or setting"),
        ("claimed_gain: 0.842", "claimed_gain: 0.942", "claimed_treatment − claimed_baseline"),
        ("    published_for: ViT-Lite-7/4 on CIFAR-10, 300 epochs, mean of 5 seeds\n", "", "published_for"),
        ("kind: analogue", "kind: similar", "'published', 'analogue' or 'own'"),
        ("    metric: top1\n", "    metric: top5\n", "expected:   a known metric"),
        ("    claimed_gain: 0.842\n", "", "'claims.0.claimed_gain' is missing"),
        ("    margin: 0.421\n", "", "'claims.0.margin' is missing"),
        ("    alpha: 0.05\n", "", "alpha is missing"),
        ("metric: top1", "metric: mask_ap", "not_runnable: why it can't be tested"),
        ("claimed_baseline: 93.448", "claimed_baseline: 193.448", "a number of at most 100"),
        ("claimed_gain: 0.842", "claimed_gain: .nan", "finite number"),
        ("min_pairs: 3", "min_pairs: 1", "a number of at least 2"),
        ("id: typed", "id: Digits Table", "lower-case letters, digits"),
    ],
)
def test_a_wrong_claim_file_says_what_and_where(
    write_claims: Callable[..., Path], old: str, new: str, message: str
) -> None:
    with pytest.raises(InputError) as caught:
        load_claims([write_claims((old, new))])
    assert message in str(caught.value)
    assert "claims.yaml, line " in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("ours}\nstated", "our}\nstated", 17, "did you mean 'ours'"),
        ("ours}\nstated", "[ours]}\nstated", 17, "expected:   text, in quotes if it looks like a number"),
        ("base, treatment: ours}\ns", "ours, treatment: base}\ns", 17, "no gain is claimed"),
        ("base, treatment: ours}\ns", "base}\ns", 17, "'claims.0.treatment' is missing"),
        ("ours}\nstated", "sine}\nstated", 17, "found:      pe and join"),
        ("ours}\nstated", "ours, differ: [pe, join]}\nstated", 17, "a difference in pe and join"),
        ("ours}\nstated", "ours, differ: [pe, joins]}\nstated", 17, "'join'"),
        ("ours}\nstated", "tiny}\nstated", 17, "measured differently"),
        ("{id: gain", "{id: base", 17, "'base' stands twice"),
        ("{id: ours", "{id: base", 13, "'base' stands twice"),
        ("{id: said", "{id: gain", 19, "'gain' stands twice"),
        ("join: lape}, printed", "join: lap}, printed", 13, "did you mean 'lape'"),
        ("join: default}, printed", "joins: default}, printed", 12, "unknown key"),
        ("arch: vit_lite_7_4, join: default", "arch: vit_light_7_4, join: default", 12, "did you mean 'vit_lite_7_4'"),
        ("dataset: cifar10}", "dataset: cifar11}", 9, "did you mean 'cifar10'"),
        ("metric: top1_best", "metric: top_best", 6, "did you mean 'top1_best_epoch'"),
        ('"93.4"', '"193.4"', 12, "100 at most, not 193.4"),
        ('"93.4"', '"-3"', 12, "a number of digits, in quotes"),
        ('"93.4"', "93.4", 12, "expected:   text, in quotes if it looks like a number"),
        ("epochs: 300", "epochs: 0", 7, "a number of at least 1"),
        ('printed: "93.4"', 'epoch: 301, printed: "93.4"', 12, "epochs of at least epoch (301), not 300"),
        ("evidence: printed_table", "evidence: hearsay", 5, "'printed_table'"),
        ('margin_share: "0.5"', 'margin_share: "1.5"', 10, "a part above 0 and below 1"),
        ('test: {alpha: 0.05, margin_share: "0.5"}', "test: {alpha: 0.05}", 17, "'claims.0.margin' is missing"),
        ('test: {alpha: 0.05, margin_share: "0.5"}', 'test: {margin_share: "0.5"}', 17, "alpha is missing"),
        ("quantity: difference", "quantity: sum", 19, "'difference'"),
        ("quantity: difference", "quantity: value", 19, "of with a value"),
        ('treatment: ours, printed: "+0.9"', 'treatment: hours, printed: "+0.9"', 19, "did you mean 'ours'"),
        ("values:", "refer_to: [nowhere.yaml]\nvalues:", None, "no such file"),
        ("values:", "refer_to: [/etc/passwd]\nvalues:", 11, "a file outside the grid's folder"),
        ("values:", "refer_to: [claims.yaml]\nvalues:", 11, "in a circle"),
        ("paper: LaPE\n", "", 11, "'values.0.paper' is missing"),
        ("ours}\nstated", "ours, claimed_gain: true}\nstated", 17, "expected:   a number"),
        ("runs: 5", "run: 5", 8, "did you mean 'runs'"),
        ("join: default}, printed", "norm: ln}, printed", 12, "unknown join ''"),
        ('join: default}, printed: "93.4"', 'norm: ln}, not_runnable: no, printed: "93.4"', 17, "at least 1 character"),
    ],
)  # fmt: skip
def test_a_wrong_table_says_what_and_where(
    write_claims: Callable[..., Path], old: str, new: str, line: int | None, message: str
) -> None:
    with pytest.raises(InputError) as caught:
        load_claims([write_claims((old, new), text=NAMED)])
    told = [problem for problem in caught.value.problems if message in str(problem)]
    assert told, str(caught.value)
    assert line is None or told[0].where.endswith(f"claims.yaml, line {line}"), told[0].where
    assert told[0].expected
    assert told[0].found


def test_all_that_is_wrong_is_told_at_once(write_claims: Callable[..., Path]) -> None:
    path = write_claims(
        ("join: default}", "join: defolt}"), ('"+0.9"', '"much"'), ("{id: gain", "{id: Gain"), text=NAMED
    )
    with pytest.raises(InputError) as caught:
        load_claims([path])
    assert len(caught.value.problems) == 3


def test_an_empty_claim_file(write_claims: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match="at least one value, claim or statement"):
        load_claims([write_claims(text="claims: []\n")])


def test_an_id_that_stands_twice(write_claims: Callable[..., Path]) -> None:
    told = r"'typed' stands twice(?s:.*)one.yaml, line 3(?s:.*)claims.yaml, line 3"
    with pytest.raises(InputError, match=told):
        load_claims([write_claims(name="one.yaml"), write_claims()])


def test_the_same_file_named_twice_is_read_once(write_claims: Callable[..., Path]) -> None:
    path = write_claims()
    assert len(load_claims([path, str(path), path.parent / ".." / path.parent.name / path.name])) == 1


def test_a_file_can_name_the_values_of_another(write_claims: Callable[..., Path]) -> None:
    write_claims(text=NAMED, name="table.yaml")
    text = "refer_to: [table.yaml]\ntest: {alpha: 0.1, margin_share: '0.4'}\n"
    text += "claims: [{id: c, baseline: base, treatment: ours}]"
    (claim,) = load_claims([write_claims(text=text)])
    assert (claim.id, claim.table, claim.claimed_gain, claim.alpha, claim.margin) == ("c", "2", 0.9, 0.1, 0.36)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load_claims([tmp_path / "none.yaml"])


@pytest.mark.parametrize("name", GRIDS)
def test_each_grid_of_the_project_tests_all_its_claims(name: str) -> None:
    """Its own, and no published claim of another file. Analogues may match the cells of several grids."""
    grid = load_grid(REPOSITORY / "grids" / f"{name}.yaml")
    own = {claim.id for claim in load_claims(grid.claim_files)}
    claims = [claim for claim in registered() if claim.id in own or claim.kind == "published"]
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

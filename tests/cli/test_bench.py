"""`lape bench`: two sides of an axis against each other."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.cli.shell import SHAPE, TINY, Shell
from tests.conftest import REPOSITORY


def test_the_whole_path(lape: Shell, tmp_path: Path) -> None:
    path = tmp_path / "bench.csv"
    sides = ["--baseline", "default", "--treatment", "lape"]
    run = ["--batch-size", "4", "--rounds", "5", "--steps", "2", "--device", "cpu"]
    out = lape("bench", "--arch", "deit", *TINY, *SHAPE, *sides, *run, "--csv", path)
    assert lape.code == 0, lape.err
    assert "deit, learnable, 7 classes, 8×8×1; batch 4, fp32, not compiled" in out
    assert "5 rounds of 2 per side" in " ".join(out.split())  # where it wraps hangs on the processor's name
    for mode in ("training", "evaluation"):
        assert f"{mode}: lape takes " in out
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert [(row["mode"], row["side"], row["join"]) for row in rows] == [
        ("training", "baseline", "default"),
        ("training", "treatment", "lape"),
        ("evaluation", "baseline", "default"),
        ("evaluation", "treatment", "lape"),
    ]
    for row in rows:
        assert float(row["ms_low_quartile"]) <= float(row["ms_per_step"]) <= float(row["ms_high_quartile"])
        assert float(row["images_per_second"]) == pytest.approx(4000 / float(row["ms_per_step"]))
    for row in rows[1::2]:
        for name in ("time_ratio", "cpu_time_ratio"):
            assert 0 < float(row[f"{name}_low"]) <= float(row[name]) <= float(row[f"{name}_high"])
    assert int(rows[3]["operators"]) - int(rows[2]["operators"]) == 3
    assert {row["time_ratio"] for row in rows[::2]} == {""}


def test_published_ratios_are_judged(lape: Shell, tmp_path: Path) -> None:
    values = [
        f"  - {{id: {join}-{metric}, row: {join}, column: {metric}, metric: {metric}, printed: '{printed}', "
        f"cell: {{arch: vit_lite_2_4, pe: learnable, join: {join}, dataset: cifar10}}}}"
        for metric, numbers in (("train_seconds_per_epoch", "19"), ("train_memory_mb", "91"))
        for join, printed in zip(("default", "lape"), numbers, strict=True)
    ]
    header = "paper: A\nversion: one\ntable: '6'\nevidence: printed_table\nvalues:\n"
    (tmp_path / "claims.yaml").write_text(header + "\n".join(values) + "\n")
    run = ["--batch-size", "2", "--rounds", "2", "--device", "cpu", "--image-size", "32", "--classes", "10"]
    out = lape("bench", "--arch", "vit_lite_2_4", *run, "--claims", tmp_path / "claims.yaml")
    assert lape.code == 0, lape.err
    assert "confirmed: Table 6, lape, train_seconds_per_epoch: time published from +466.67 % to +1800.00 %" in out
    assert "contradicted: Table 6, lape, train_memory_mb: memory published from −94.74 % to −82.35 %" in out
    assert "no such file" in lape.refuses("bench", *run, "--claims", tmp_path / "none.yaml").lower()


def test_one_round_has_no_interval(lape: Shell) -> None:
    run = ["--batch-size", "2", "--rounds", "1", "--device", "cpu", "--treatment", "default", "--csv", "-"]
    out = lape("bench", "--arch", "deit", *TINY, *SHAPE, *run)
    rows = list(csv.DictReader(out.splitlines()))
    assert [row["time_ratio_low"] for row in rows] == [""] * 4
    assert all(float(row["time_ratio"]) > 0 for row in rows[1::2])
    assert rows[0]["operators"] == rows[1]["operators"]


@pytest.mark.parametrize(
    ("model", "levels"),
    [
        (["--arch", "vit_late", *TINY, "--size", "depth=3", *SHAPE], ("ln", "dtn")),
        (["--arch", "resnet_cifar", "--size", "blocks=1", "--size", "channels=2", *SHAPE], ("bn", "l2bn")),
    ],
)
def test_norms_against_each_other(lape: Shell, model: list[str], levels: tuple[str, str]) -> None:
    run = ["--axis", "norm", "--batch-size", "4", "--rounds", "2", "--device", "cpu"]
    out = lape("bench", *model, *run)
    assert lape.code == 0, lape.err
    assert "Norm" in out
    for mode in ("training", "evaluation"):
        assert f"{mode}: {levels[1]} takes " in out
    assert f"the time of {levels[0]}, " in out
    rows = list(csv.DictReader(lape("bench", *model, *run, "--csv", "-").splitlines()))
    assert [row["norm"] for row in rows] == [*levels, *levels]
    assert all(int(rows[side]["operators"]) < int(rows[side + 1]["operators"]) for side in (0, 2))


def test_losses_against_each_other(lape: Shell) -> None:
    run = ["--axis", "loss", "--join", "lape", "--batch-size", "4", "--rounds", "2", "--device", "cpu"]
    out = lape("bench", "--arch", "deit", *TINY, *SHAPE, *run, "--csv", "-")
    assert lape.code == 0, lape.err
    rows = list(csv.DictReader(out.splitlines()))
    assert [(row["join"], row["loss"]) for row in rows] == [("lape", "default"), ("lape", "diversepatch")] * 2
    operators = [int(row["operators"]) for row in rows]
    assert operators[0] < operators[1]  # a step of training
    assert operators[2] == operators[3]  # in evaluation there is no loss


def test_what_both_sides_are_besides_is_said(lape: Shell) -> None:
    run = ["--axis", "norm", "--treatment", "scalenorm", "--join", "lape", "--rounds", "1", "--batch-size", "2"]
    out = lape("bench", "--arch", "vit_late", *TINY, "--size", "depth=3", *SHAPE, *run, "--device", "cpu")
    assert "vit_late, learnable, lape, 7 classes" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--arch", "deit_tniy"], "did you mean 'deit_tiny'"),
        (["--treatment", "lap"], "unknown join"),
        (["--axis", "norms"], "did you mean 'norm'"),
        (["--axis", "norm", "--treatment", "l2nb"], "did you mean 'l2bn'"),
        (["--axis", "norm", "--norm", "dtn"], "--norm is of both sides"),
        (["--axis", "loss", "--loss", "default"], "--loss is of both sides"),
        (["--axis", "loss", "--arch", "resnet20"], "is a convolutional network"),
        (["--axis", "loss", "--arch", "deit_tiny", "--batch-size", "3"], "an even --batch-size"),
        (["--axis", "loss", "--treatment", "diverse"], "unknown loss"),
        (["--axis", "norm", "--treatment", "l2bn"], "choose norm ln, dtn, dtn_release"),
        (["--axis", "norm", "--arch", "resnet20", "--treatment", "dtn"], "choose norm bn, l2bn, l2bn_rms"),
        (["--axis", "norm", "--claims", str(REPOSITORY / "grids/claims/table6.yaml")], "of joining methods"),
        (["--arch", "resnet20"], "nothing to join"),
        (["--pe", "none"], "nothing to join"),
        (["--image-size", "100"], "divisible by the patch size"),
        (["--device", "cuba"], "can't use the device"),
        (["--precision", "fp8"], "unknown precision"),
    ],
)
def test_bad_input(lape: Shell, arguments: list[str], message: str) -> None:
    assert message in lape.refuses("bench", *arguments)


def test_regions_have_no_classes_and_are_made_up_all_the_same(lape: Shell) -> None:
    """The default of 1,000 classes is more than an annotation has numbers."""
    grouping = ["--size", "grouping=dcn", "--size", "prototype_heads=2", "--size", "prototype_hidden=8"]
    run = ["--batch-size", "2", "--rounds", "1", "--steps", "1", "--device", "cpu"]
    out = lape("bench", "--arch", "regions", *TINY, *grouping, "--image-size", "16", *run)
    assert lape.code == 0, lape.err
    assert "evaluation: lape takes " in out

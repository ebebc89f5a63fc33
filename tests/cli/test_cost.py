"""`lape cost`."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.cli.shell import SHAPE, TINY, Shell, Write


def test_table_5_of_the_paper(lape: Shell, tmp_path: Path) -> None:
    path = tmp_path / "costs.csv"
    out = lape("cost", "--arch", "deit_tiny", "--arch", "deit_small", "--csv", path)
    assert lape.code == 0, lape.err
    counts = ("5,717,416", "5,722,024", "22,050,664", "22,059,880")
    assert all(count in out for count in counts), out
    for added in ("(+4,608, +0.08 %)", "(+9,216, +0.04 %)"):
        assert added in out
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert [int(row["params"]) for row in rows] == [int(count.replace(",", "")) for count in counts]
    assert [row["params_added"] for row in rows] == ["", "4608", "", "9216"]
    assert {row["activations_added"] for row in rows[1::2]} == {"0"}


def test_a_grid(lape: Shell, write_grid: Write) -> None:
    path = write_grid(
        ("join: [default, lape]", "join: [default, lape, unshared]"),
        ("pe: [learnable]", "pe: [learnable, sin1d]"),
        ("seeds:", "impossible: drop\nseeds:"),
    )
    out = lape("cost", path)
    assert lape.code == 0, lape.err
    assert "10 classes, 8×8×1" in out
    assert "not possible: tiny sin1d unshared ln default digits: join 'unshared' learns a table per block" in out
    only = lape("cost", path, "--set", "axes.join=[default]", "--csv", "-")
    assert [row["pe"] for row in csv.DictReader(only.splitlines())] == ["learnable", "sin1d"]


def test_csv_on_standard_output_is_nothing_but_csv(lape: Shell) -> None:
    levels = ["--pe", "none", "--pe", "learnable", "--join", "default", "--join", "lape"]
    out = lape("cost", "--arch", "deit", *TINY, *SHAPE, "--csv", "-", *levels)
    rows = list(csv.DictReader(out.splitlines()))
    assert [(row["pe"], row["join"]) for row in rows] == [
        ("none", "default"),
        ("learnable", "default"),
        ("learnable", "lape"),
    ]
    assert int(rows[1]["pe_params"]) == 5 * 8
    assert int(rows[2]["pe_params_added"]) == 2 * 2 * 8
    assert lape.err.startswith("not possible: deit none lape ln: ")
    assert len(lape.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to count"),
        (["quickstart", "--arch", "deit_tiny"], "a grid, and architectures besides"),
        (["nowhere"], "no such grid"),
        (["--arch", "deit_tniy"], "did you mean 'deit_tiny'"),
        (["--arch", "deit"], "embed_dim: a value"),
        (["--arch", "deit_tiny", "--size", "depth"], "a size must have a key and a value"),
        (["--arch", "deit_tiny", "--size", "depth=many"], "depth: a whole number"),
        (["--arch", "deit_tiny", "--size", "depth=[1"], "--size depth=[1"),
        (["--arch", "timm", "--size", "model=vit_tinny_patch16_224"], "did you mean vit_tiny_patch16_224"),
        (["--arch", "deit_tiny", "--size", "deph=3"], "did you mean 'depth'"),
        (["--arch", "deit_tiny", "--pe", "lernable"], "unknown pe"),
        (["--arch", "deit_tiny", "--join", "lap"], "unknown join"),
        (["--arch", "deit_tiny", "--norm", "rms"], "unknown norm"),
        (["--arch", "deit_tiny", "--image-size", "100"], "no combination is possible"),
        (["--arch", "deit_tiny", "--csv", "/proc/nowhere/costs.csv"], "can't write to the folder"),
    ],
)
def test_bad_input(lape: Shell, arguments: list[str], message: str) -> None:
    assert message in lape.refuses("cost", *arguments)


def test_sizes_that_no_model_can_have_are_refused(lape: Shell) -> None:
    told = lape.refuses("cost", "--arch", "vit_lite_7_4", "--size", "depth=99999999999")
    assert "depth is too large" in told
    assert "--size depth=99999999999" in told
    for option in ("--classes", "--channels", "--image-size"):
        lape("cost", "--arch", "vit_lite_7_4", option, "99999999999999999999")
        assert lape.code == 2
        assert option in lape.err

"""`lape ls`."""

from __future__ import annotations

from pathlib import Path

import pytest

from suite.grid.grid import load_grid
from tests.cli.shell import Shell, Write
from tests.conftest import REPOSITORY


def test_ls_claims_says_what_cant_be_tested(lape: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    told = {line.split()[0]: line.split(maxsplit=3)[1:] for line in lape("ls", "claims").splitlines()}
    title = "LaPE (ICCV 2023), Table 2, CVT-7/4, LaPE over default, CIFAR-100"
    assert told["lape-table2-cvt_7_4-lape-cifar100"] == ["+0.60", "printed_table", title]
    assert told["l2bn-gain-fcnn"][:2] == ["+1.38", "released_readme"]
    assert told["l2bn-gain-fcnn"][2].endswith("(docs/sound.md), and spoken_digits tests an analogue")


@pytest.mark.parametrize(
    ("kind", "some"),
    [
        ("archs", "vit_lite_7_4"),
        ("pe", "sin2d"),
        ("joins", "lape_shared"),
        ("norms", "ln"),
        ("losses", "default"),
        ("datasets", "cifar100"),
        ("tasks", "segmentation"),
        ("corruptions", "zoom_blur"),
        ("metrics", "corruption_error"),
        ("recipes", "digits"),
        ("claims", "digits-table2-cct"),
        ("grids", "grids/quickstart.yaml"),
    ],
)
def test_ls(lape: Shell, monkeypatch: pytest.MonkeyPatch, kind: str, some: str) -> None:
    monkeypatch.chdir(REPOSITORY)
    out = lape("ls", kind)
    assert lape.code == 0
    assert any(line.split()[0] == some for line in out.splitlines())


def test_a_broken_grid_leaves_the_others_in_use(lape: Shell, write_grid: Write, tmp_path: Path) -> None:
    (tmp_path / "grids").mkdir()
    write_grid(name="grids/good.yaml")
    write_grid(("[learnable]", "[lernable]"), ("name: small", "nam: small"), name="grids/bad.yaml")
    out = lape("ls", "grids")
    assert (lape.code, out.split()[:2]) == (0, ["grids/good.yaml", "cifar_subset"])
    assert "note: grids/bad.yaml is left out" in lape.err
    trial = load_grid(tmp_path / "grids" / "good.yaml").expand().trials[0]
    assert "this one is stored" in lape("rerun", trial.id[:12])
    assert "note: grids/bad.yaml is left out" in lape.err
    lape.refuses("rerun", trial.id, "--grid", "bad")


@pytest.mark.parametrize(
    ("kind", "some"), [("grids", "quickstart"), ("recipes", "digits"), ("claims", "l2bn-gain-fcnn")]
)
def test_in_any_folder_there_is_what_comes_with_the_suite(lape: Shell, kind: str, some: str) -> None:
    assert some in [line.split()[0] for line in lape("ls", kind).splitlines()]
    assert lape.err == ""

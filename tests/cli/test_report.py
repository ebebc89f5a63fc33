"""`lape tables` and `lape report`, on records that were written without training."""

from __future__ import annotations

from pathlib import Path

import pytest

from suite.grid.shipped import shipped_folder
from tests.cli.shell import Shell


def test_tables_and_report(lape: Shell, finished: Path, tmp_path: Path) -> None:
    out = lape("tables", finished)
    assert lape.code == 0
    assert "tiny" in out
    assert "+1.00" in out
    for name in ("csv", "md", "tex"):
        assert (tmp_path / "reports" / "small" / "tables" / f"summary.{name}").is_file()
    assert lape("report", finished).strip() == "reports/small/index.html"
    assert "no runs yet" in lape("tables", finished, "--set", "recipe.epochs=9")


def test_report_of_all_grids(lape: Shell, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "grids" / "claims").mkdir(parents=True)
    (tmp_path / "grids" / "small.yaml").write_bytes(finished.read_bytes())
    shipped = shipped_folder()
    for name in ("table3.yaml", "claims/table3.yaml"):
        (tmp_path / "grids" / name).write_bytes((shipped / name).read_bytes())
    monkeypatch.setattr("suite.grid.shipped.shipped_folder", lambda: tmp_path / "none")  # all others take seconds
    assert lape("report", "--all").strip() == "reports/index.html"
    page = (tmp_path / "reports" / "index.html").read_text(encoding="utf-8")
    assert 'href="small/index.html"' in page
    assert (tmp_path / "reports" / "small" / "index.html").is_file()
    assert not (tmp_path / "reports" / "table3").exists()  # nothing of it can run
    assert "ViT-Adapter-T, LaPE over default, box AP" in page  # but its claims are told


def test_a_report_of_a_folder_whose_name_is_not_utf_8(lape: Shell, finished: Path, tmp_path: Path) -> None:
    odd = (tmp_path / "results").rename(tmp_path / "odd\udcff")  # so Python reads the byte 0xff of a name
    lape("report", finished, "--results", odd)
    assert lape.code == 0, lape.err
    assert r"odd\udcff" in (tmp_path / "reports" / "small" / "index.html").read_text(encoding="utf-8")


def test_report_takes_a_grid_or_all(lape: Shell, finished: Path) -> None:
    for arguments in ((), (finished, "--all"), ("--all", "--seeds", "3")):
        assert "report writes one grid's page, or all" in lape.refuses("report", *arguments)

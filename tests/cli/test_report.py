"""`lape tables` and `lape report`, on records that were written without training."""

from __future__ import annotations

from pathlib import Path

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

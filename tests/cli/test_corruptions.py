"""Corrupted images from the command line: prepared, planned, run, judged and reported."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from suite.data.corruptions.settings import Corruptions
from tests.cli.shell import Shell, Write
from tests.corrupted import claims_text, grid_text, make_copies, prepare_pictures


@pytest.fixture
def grid(tmp_path: Path, write_grid: Write, monkeypatch: pytest.MonkeyPatch, lape: Shell) -> Path:
    """A grid with a claim on the corruption error, and its data set in a cache of its own."""
    root = tmp_path / "data"
    root.mkdir()
    dataset = prepare_pictures(root)
    monkeypatch.setenv("LAPE_DATA", str(root))
    (tmp_path / "claims.yaml").write_text(claims_text("corruption_error"))
    return write_grid(text=grid_text(dataset.checksum))


@pytest.mark.slow
def test_a_grid_is_run_judged_and_reported(grid: Path, lape: Shell, tmp_path: Path) -> None:
    told = "4 corrupted copies of 12 test images of pictures: 0.1 MB"
    assert f"disk     {told}, 4 to be made" in lape("plan", grid)
    assert json.loads(lape("plan", grid, "--json"))["corrupted_bytes"] == 4 * 12 * 32 * 32 * 3
    settings = Corruptions.model_validate({"kinds": ["fog", "contrast"], "severities": [1, 5], "images": 12})
    make_copies(prepare_pictures(tmp_path / "data"), settings, tmp_path / "data")
    assert f"disk     {told}, all there" in lape("plan", grid)
    lape("run", grid, "--executor", "serial")
    assert lape.code == 0
    assert "Errors on corrupted images" in lape("tables", grid)
    (verdict,) = json.loads(lape("verify", grid, "--json"))
    assert verdict["claim"]["metric"] == "corruption_error"
    page = (tmp_path / "reports" / "robust" / "index.html").read_text()
    assert '<h2 id="corruptions">Corrupted images</h2>' in page
    assert "corruption error, in percent; lower is better" in page
    assert (tmp_path / "reports" / "robust" / "tables" / "corruptions.csv").is_file()
    assert "elastic" not in (
        drawing := (tmp_path / "reports" / "robust" / "figures" / "corruptions-01.svg").read_text()
    )
    assert "fog" in drawing


def test_without_the_package_nothing_runs(grid: Path, lape: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("suite.data.corruptions.making._MODULE", "no_such_package")
    for command in (["run", grid, "--executor", "serial"], ["data", "prepare", "pictures", "--corruptions", "all"]):
        message = lape.refuses(*command)
        assert "the package that corrupts images can't be used" in message
        assert "pip install 'lape-suite[corruptions]'" in message
    assert not list(Path("results").glob("**/runs.jsonl"))


def test_images_that_are_too_small_are_refused(lape: Shell) -> None:
    assert "at least 32 × 32 pixels" in lape.refuses("data", "prepare", "digits", "--corruptions", "all")
    assert "settings of corruptions" in lape.refuses("data", "prepare", "digits", "--corruptions", "severities=0")

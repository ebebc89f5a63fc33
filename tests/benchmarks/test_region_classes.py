"""Classes of regions: made-up street scenes in VOC's layout, and the committed figures."""

from __future__ import annotations

import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from benchmarks.documents import filled, read_figures
from benchmarks.region_classes import FIGURES, compare, consecutive, main, tables
from benchmarks.regions import DOCUMENT
from suite.models.regions.backbone import read_backbone
from suite.models.regions.training import TrainingPlan
from tests.benchmarks.test_region_features import scenes
from tests.models.regions.test_backbone import cell, written


def test_empty_clusters_are_no_regions() -> None:
    found = consecutive(np.array([[4, 0, 4], [2, 2, 2]]))
    assert (found.labels.tolist(), found.counts.tolist()) == ([[1, 0, 1], [0, 0, 0]], [2, 1])


def test_the_methods_are_compared_seed_by_seed(tmp_path: Path) -> None:
    scenes(tmp_path, "train", 4)
    scenes(tmp_path, "test", 4)
    backbone = read_backbone(written(tmp_path, cell()), None, 16)
    plan = TrainingPlan(steps=2, batch_size=2)
    found = compare(
        backbone, tmp_path, seeds=2, starts=2, heads=3, plan=plan, splits=("train", "test"),
        features=("mean", "crop"), backgrounds=(False, True),
    )  # fmt: skip
    assert (found["classes"], found["train"], found["test"]) == (2, 4, 4)
    settings = {(row["features"], row["background"], row["classes_by"]) for row in found["rows"]}
    assert settings == set(product(("mean", "crop"), (False, True), ("k-means", "1-NN", "5-NN")))
    assert len(found["rows"]) == 3 * len(settings)
    assert all(len(row["miou"]) == 2 for row in found["rows"])
    assert all(0 < value <= 100 for row in found["rows"] for value in row["miou"])
    told = tables(found)
    assert told["classes"].count("| DCN |") == 4
    assert told["retrieval"].count("| DCN |") == 8


def test_bad_input_is_told_in_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["classes", "--data", str(tmp_path), "--weights", str(tmp_path / "none")])
    with pytest.raises(SystemExit) as error:
        main()
    assert error.value.code == 2
    assert "there is no such checkpoint" in capsys.readouterr().err


def test_the_page_has_the_committed_figures() -> None:
    figures = read_figures(FIGURES)
    assert figures["classes"] == 11
    document = DOCUMENT.read_text(encoding="utf-8")
    assert filled(document, tables(figures)) == document

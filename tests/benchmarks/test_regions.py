"""DCN beside k-means and spectral clustering: the comparison on made-up scenes, and the committed figures."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

from benchmarks.documents import filled, read_figures
from benchmarks.regions import (
    DOCUMENT,
    FIGURES,
    NAMES,
    Setting,
    communities,
    difference,
    enlarged,
    main,
    measures,
    normalised,
    rows,
    tables,
)
from suite.data.datasets import DATASETS
from suite.models.regions.backbone import read_backbone
from suite.models.regions.network import ConceptGenerator
from suite.models.regions.partition import segment
from suite.models.regions.training import TrainingPlan
from tests.data.test_bsds500 import cells
from tests.models.regions.test_backbone import cell, written


def scenes(folder: Path, split: str, count: int) -> None:
    """Write photographs of 24 × 16 pixels with two or three colours in stripes, which one person drew."""
    for part in ("images", "groundTruth"):
        (folder / part / split).mkdir(parents=True)
    for number in range(count):
        truth = np.minimum(np.arange(24) // 8, 1 + number % 2)[None].repeat(16, axis=0).astype(np.uint16)
        colours = np.random.default_rng(number).integers(0, 256, (3, 3), dtype=np.uint8)
        Image.fromarray(colours[truth]).save(folder / "images" / split / f"{number}.jpg")
        savemat(folder / "groundTruth" / split / f"{number}.mat", {"groundTruth": cells(truth + 1)})


def test_the_methods_are_compared_on_scenes(tmp_path: Path) -> None:
    scenes(tmp_path, "val", 4)
    scenes(tmp_path, "test", 6)
    backbone = read_backbone(written(tmp_path, cell()), None, 32)
    plan = TrainingPlan(steps=3, batch_size=2)
    found, network = measures(backbone, Setting(tmp_path, "val", "test", 2, 3, plan))
    assert (found["train"], found["test"], found["patches"], found["seeds"]) == (4, 6, 64, 2)
    by = {(row["method"], row["measure"]): row for row in found["rows"]}
    methods = {name for name, _ in by}
    assert {"DCN", "k-means, k = 5", "spectral, k = 5", "one region"} <= methods
    for (name, measure), row in by.items():
        if name != "DCN":
            assert row["difference"] == pytest.approx(by["DCN", measure]["mean"] - row["mean"], abs=1e-3)
            assert row["low"] <= row["difference"] <= row["high"]
    # By hand: one region covers two regions of 8 and 16 columns by (8 · 1/3 + 16 · 2/3) / 24, three by 1/3.
    assert by["one region", "covering"]["mean"] == pytest.approx((5 / 9 + 1 / 3) / 2)
    assert len(found["losses"]) == len(found["regions"]) == 2
    assert network.prototypes.shape == (5, 24)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--image-size", "32"], "this folder has no images/val of BSDS500"),
        (["--image-size", "8", "--data", "SCENES"], "fewer patches than there are clusters"),
        (["--image-size", "32", "--data", "SCENES", "--heads", "5"], "divides the features' width of 24"),
        (["--image-size", "32", "--data", "SCENES", "--train", "validation"], "no images/validation"),
        (["--seeds", "0"], "numbers must be positive"),
    ],
)
def test_bad_input_is_told_in_one_message(
    tmp_path: Path,
    arguments: list[str],
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    scenes(tmp_path / "scenes", "val", 2)
    scenes(tmp_path / "scenes", "test", 2)
    weights = written(tmp_path, cell())
    given = [str(tmp_path / "scenes") if argument == "SCENES" else argument for argument in arguments]
    monkeypatch.setattr(
        sys, "argv", ["regions", "measures", "--data", str(tmp_path), "--weights", str(weights), "--steps", "1", *given]
    )
    before = FIGURES.read_bytes()
    with pytest.raises(SystemExit) as error:
        main()
    assert error.value.code == 2
    assert told in capsys.readouterr().err
    assert FIGURES.read_bytes() == before


def test_differences_are_paired_over_seeds_and_photographs() -> None:
    draw = np.random.default_rng(0)
    baseline = draw.random((3, 40))
    treatment = baseline + 0.02 + 0.001 * draw.standard_normal((3, 40))
    found = difference(treatment, baseline, 1e-4)
    assert (found.pairs, found.images) == (3, 40)
    assert found.mean == pytest.approx(float((treatment - baseline).mean()), abs=1e-4)
    assert found.low < 0.02 < found.high
    assert found.high - found.low < 0.01  # far less than the photographs differ


def test_labels_of_patches_become_those_of_pixels() -> None:
    assert enlarged(np.array([0, 1, 2, 3]), (4, 6)).tolist() == [[0] * 3 + [1] * 3] * 2 + [[2] * 3 + [3] * 3] * 2
    assert enlarged(np.arange(4), (3, 3)).tolist() == [[0, 1, 1], [2, 3, 3], [2, 3, 3]]


def test_images_are_normalised_as_the_backbones_data(tmp_path: Path) -> None:
    backbone = read_backbone(written(tmp_path, cell()), None, 16)
    images = np.full((1, 16, 16, 3), 255, np.uint8)
    facts = DATASETS["cifar10"]
    expected = [(1 - mean) / std for mean, std in zip(facts.mean, facts.std, strict=True)]
    assert normalised(images, backbone)[0, :, 0, 0].tolist() == pytest.approx(expected)


def test_speed_is_measured_on_features_of_communities() -> None:
    features = communities(14, 8)
    assert features.shape == (8, 196, 384)
    found = segment(ConceptGenerator(384), features)
    assert found.labels.shape == (8, 196)
    near = torch.nn.functional.normalize(features, dim=2)
    same = (near @ near.mT).flatten(1)
    assert ((same > 0.4).float().mean(dim=1) - 0.2).abs().max() < 0.05  # a fifth of the pairs are of one community


def test_the_committed_figures_keep_their_bounds_and_the_page_has_them() -> None:
    figures = read_figures(FIGURES)
    assert [str(row) for row in rows(figures) if not row.kept] == []
    assert figures["measures"]["seeds"] >= 2
    assert {row["measure"] for row in figures["measures"]["rows"]} == set(NAMES)
    # What the page says of them in words.
    told = {(row["method"], row["measure"]): row for row in figures["measures"]["rows"]}
    for method, worse in (("k-means, k = 5", tuple(NAMES)), ("spectral, k = 5", ("covering", "rand"))):
        assert all(told[method, name]["high"] < 0 for name in worse if name != "variation")
        assert all(told[method, name]["low"] > 0 for name in worse if name == "variation")
    variations = {method: row["mean"] for (method, name), row in told.items() if name == "variation"}
    assert min(variations, key=lambda method: variations[method]) == "one region"
    assert min(figures["measures"]["regions"]) > 4.5
    assert figures["measures"]["plan"]["steps"] * 3 < TrainingPlan.steps
    document = DOCUMENT.read_text(encoding="utf-8")
    assert filled(document, tables(figures)) == document, "run: python -m benchmarks.regions tables"

"""The speed of DCN beside k-means and spectral clustering: the committed figures; and the picture of their regions."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.documents import filled, read_figures
from benchmarks.regions import DOCUMENT, FIGURES, PICTURE, communities, enlarged, main, normalised, rows, tables
from suite.data.datasets import DATASETS
from suite.models import create_model
from suite.models.architectures import resolve_architecture
from suite.models.model_cell import ModelCell, Shape
from suite.models.regions.network import ConceptGenerator
from suite.models.regions.partition import partition, segment, similarities
from suite.models.weights.checkpoint import write_checkpoint
from tests.models.families.test_regions import size
from tests.train.test_backbones import write_weights


def test_the_picture_is_drawn_from_kept_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arch = resolve_architecture("regions_lite", size("dcn").model_dump())
    cell = ModelCell(arch, "learnable", "default", "ln", Shape(1, 16))
    model = create_model(arch, num_classes=1, image_size=16)
    write_checkpoint(tmp_path / "kept.safetensors", model, cell, dataset="bsds64", trial_id="0" * 16)
    monkeypatch.setattr("benchmarks.regions.PICTURE", tmp_path / "drawn.png")
    monkeypatch.setattr(sys, "argv", ["regions", "picture", "--weights", str(tmp_path / "kept.safetensors")])
    before, figures = PICTURE.read_bytes(), FIGURES.read_bytes()
    main()
    assert (tmp_path / "drawn.png").stat().st_size > 5000
    assert (PICTURE.read_bytes(), FIGURES.read_bytes()) == (before, figures)


def test_bad_input_is_told_in_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = write_weights(tmp_path / "classifier.safetensors")
    for arguments, told in (
        ([], "picture needs --weights FILE"),
        (["--weights", str(weights)], "these weights draw no regions"),
        (["--weights", str(tmp_path / "nothing")], "there is no such checkpoint"),
    ):
        monkeypatch.setattr(sys, "argv", ["regions", "picture", *arguments])
        with pytest.raises(SystemExit) as error:
            main()
        assert error.value.code == 2
        assert told in capsys.readouterr().err


def test_labels_of_patches_become_those_of_pixels() -> None:
    assert enlarged(np.array([0, 1, 2, 3]), (4, 6)).tolist() == [[0] * 3 + [1] * 3] * 2 + [[2] * 3 + [3] * 3] * 2
    assert enlarged(np.arange(4), (3, 3)).tolist() == [[0, 1, 1], [2, 3, 3], [2, 3, 3]]


def test_images_are_normalised_by_channel() -> None:
    facts = DATASETS["cifar10"]
    expected = [(1 - mean) / std for mean, std in zip(facts.mean, facts.std, strict=True)]
    found = normalised(np.full((1, 16, 16, 3), 255, np.uint8), facts.mean, facts.std)
    assert found.shape == (1, 3, 16, 16)
    assert found[0, :, 0, 0].tolist() == pytest.approx(expected)


def test_speed_is_measured_on_features_of_communities() -> None:
    features = communities(14, 8)
    assert features.shape == (8, 196, 384)
    network = ConceptGenerator(384).eval()
    found = segment(network, features)
    assert found.labels.shape == (8, 196)
    assert found.labels.equal(partition(similarities(features, network(features))).labels)
    near = torch.nn.functional.normalize(features, dim=2)
    same = (near @ near.mT).flatten(1)
    assert ((same > 0.4).float().mean(dim=1) - 0.2).abs().max() < 0.05  # a fifth of the pairs are of one community


def test_the_committed_figures_keep_their_bounds_and_the_page_has_them() -> None:
    figures = read_figures(FIGURES)
    assert [str(row) for row in rows(figures) if not row.kept] == []
    document = DOCUMENT.read_text(encoding="utf-8")
    assert filled(document, tables(figures)) == document, "run: python -m benchmarks.regions tables"

"""Classes of regions without labels: made-up street scenes in VOC's layout, and the committed figures."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.documents import filled, read_figures
from benchmarks.region_classes import (
    FIGURES,
    classes_of,
    compare,
    consecutive,
    main,
    read_split,
    region_features,
    table,
)
from benchmarks.regions import DOCUMENT
from suite.data.bsds500 import Annotated
from suite.errors import InputError
from suite.models.regions.backbone import read_backbone
from suite.models.regions.training import TrainingPlan
from tests.models.regions.test_backbone import cell, written


def scenes(folder: Path, split: str, count: int) -> None:
    """Write photographs of two colours, in the two classes of their halves. Some pixels are ignored."""
    for part in ("ImageSets/Segmentation", "JPEGImages", "SegmentationClass"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    names = [f"{split}_{number}" for number in range(count)]
    for number, name in enumerate(names):
        mask = np.repeat([[number % 2] * 8 + [1 - number % 2] * 8], 16, axis=0).astype(np.uint8)
        Image.fromarray(np.array([[200, 30, 30], [30, 30, 200]], np.uint8)[mask]).save(
            folder / "JPEGImages" / f"{name}.jpg"
        )
        mask[0, :3] = 255
        drawn = Image.fromarray(mask)
        drawn.putpalette([0, 0, 0, 255, 255, 255])
        drawn.save(folder / "SegmentationClass" / f"{name}.png")
    (folder / "ImageSets" / "Segmentation" / f"{split}.txt").write_text("\n".join(names) + "\n")


def test_features_of_regions_are_means_over_their_patches() -> None:
    features = torch.tensor([[[2.0, 0], [0, 3], [0, 1]], [[1, 0], [4, 0], [0, 1]]])
    means, numbers = region_features(features, torch.tensor([[0, 0, 1], [0, 0, 0]]))
    assert numbers.tolist() == [[0, 0, 1], [2, 2, 2]]
    torch.testing.assert_close(means, torch.tensor([[0.5, 0.5], [0.0, 1.0], [2 / 3, 1 / 3]]))


def test_regions_that_are_classes_have_miou_one() -> None:
    """Whatever the regions' numbers in each photograph: their features tell the classes."""
    features = torch.eye(4)[torch.tensor([[0, 1, 2, 2], [2, 0, 1, 1]])]
    masks = ([[0, 1], [2, 255]], [[2, 0], [1, 1]])
    photographs = [Annotated(str(n), Path(), (np.array(mask, np.uint16),)) for n, mask in enumerate(masks)]
    found = classes_of(features, torch.tensor([[0, 1, 2, 2], [1, 2, 0, 0]]), None, photographs, 3, 0)
    assert found.miou == 1


def test_background_is_a_cluster_of_its_own() -> None:
    """Its regions take no part in the clustering: here they look like two classes, and are one."""
    features = torch.eye(4)[torch.tensor([[0, 1, 2, 3], [3, 0, 1, 2]])]
    masks = ([[0, 0], [1, 2]], [[2, 0], [0, 1]])
    behind = torch.tensor([[True, True, False, False], [False, True, True, False]])
    photographs = [Annotated(str(n), Path(), (np.array(mask, np.uint16),)) for n, mask in enumerate(masks)]
    labels = torch.tensor([[0, 1, 2, 3], [0, 1, 2, 3]])
    assert classes_of(features, labels, behind, photographs, 3, 0).miou == 1
    assert classes_of(features, labels, None, photographs, 3, 0).miou < 1


def test_empty_clusters_are_no_regions() -> None:
    found = consecutive(np.array([[4, 0, 4], [2, 2, 2]]))
    assert (found.labels.tolist(), found.counts.tolist()) == ([[1, 0, 1], [0, 0, 0]], [2, 1])


@pytest.mark.parametrize("background", [False, True])
def test_the_methods_are_compared_seed_by_seed(tmp_path: Path, background: bool) -> None:
    scenes(tmp_path, "train", 4)
    scenes(tmp_path, "test", 4)
    backbone = read_backbone(written(tmp_path, cell()), None, 16)
    plan = TrainingPlan(steps=2, batch_size=2)
    found = compare(
        backbone, tmp_path, seeds=2, starts=2, heads=3, plan=plan, splits=("train", "test"), background=background
    )
    assert (found["classes"], found["train"], found["test"]) == (2, 4, 4)
    assert [len(values) for values in found["miou"].values()] == [2, 2, 2]
    assert all(0 < value <= 100 for values in found["miou"].values() for value in values)
    told = table(found)["classes"]
    assert "| DCN |" in told
    assert ("separated by attention" in told) == background


def test_a_folder_of_another_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="names of photographs"):
        read_split(tmp_path, "train")
    scenes(tmp_path, "train", 2)
    mask = tmp_path / "SegmentationClass" / "train_1.png"
    Image.new("P", (3, 3)).save(mask)
    with pytest.raises(InputError, match="a palette image of") as error:
        read_split(tmp_path, "train")
    assert "train_1.png" in str(error.value)
    mask.unlink()
    with pytest.raises(InputError, match=r"the files of train_1, which train\.txt names"):
        read_split(tmp_path, "train")


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
    assert filled(document, table(figures)) == document

"""Training runs on images larger than the model's input: any backbone, SGD, scaled crops, and tests by windows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from suite.errors import InputError
from suite.grid.grid import load_grid
from suite.grid.trial import Trial
from suite.models.backbone_size import body_of
from suite.models.build import create_model
from suite.models.initialise import initialise
from suite.models.model_cell import ModelCell, Shape
from suite.models.weights.checkpoint import write_checkpoint
from suite.store.segmentation import unpack_pixel_counts
from suite.train.backbones import add_backbone
from suite.train.machine import Machine
from suite.train.pretrained import load_pretrained
from suite.train.trials import run_trial
from tests.data.segmentation.test_preparation import prepared
from tests.data.segmentation.test_rectangles import RULE, write_mixed

GRID = """
name: scenes
description: made-up scenes
task: segmentation
seeds: [0]
recipe: {{version: 1, epochs: 12, test_every: 12, batch_size: 3, lr: 0.05, optimiser: sgd, momentum: 0.9,
         decay: polynomial, decay_power: 0.9, schedule_unit: step, flip: true, scenes: {{stride: 5}}}}
architectures:
  small: {{family: semantic, {backbone}}}
datasets:
  scenes:
    num_classes: 3
    image_size: 8
    channels: 3
    train_images: 6
    test_images: 4
    mean: {mean}
    std: {std}
    checksum: {checksum}
    segmentation: {{classes: 3, train: train, test: val, height: 16, width: 24}}
axes:
  arch: [small]
  pe: [{pe}]
  join: [{join}]
  norm: [{norm}]
  dataset: [scenes]
"""
VIT = "backbone: cvt, patch_size: 2, embed_dim: 16, depth: 2, num_heads: 2, mlp_ratio: 1.5, head: mask_transformer"


def trials(
    folder: Path, backbone: str = VIT, pe: str = "learnable", join: str = "default, lape", norm: str = "ln"
) -> tuple[Trial, ...]:
    dataset = prepared(write_mixed(folder / "voc"), folder / "cache", RULE, size=8)
    values: dict[str, Any] = {"mean": [*dataset.mean], "std": [*dataset.std], "checksum": dataset.checksum}
    text = GRID.format(backbone=backbone, pe=pe, join=join, norm=norm, **values)
    (folder / "scenes.yaml").write_text(text, encoding="utf-8")
    return tuple(load_grid(folder / "scenes.yaml").expand().trials)


def test_a_head_starts_on_the_classifier_of_its_backbone(tmp_path: Path) -> None:
    """A recipe names the classifier's weights; those of a backbone of other sizes are refused before training."""
    trial = trials(tmp_path)[0]
    for depth in (2, 3):
        body = body_of(trial.arch).resized({"depth": depth}, "classifier")
        classifier = create_model(body, num_classes=7, image_size=8)
        initialise(classifier, 5)
        file = tmp_path / f"{depth}.safetensors"
        cell = ModelCell(body, trial.pe, trial.join, trial.norm, Shape(7, 8))
        write_checkpoint(file, classifier, cell, dataset="made-up", trial_id="a1")
        _, checksum, _ = add_backbone(file, tmp_path / "cache")
        pretrained = f"flip: true, pretrained: {{axis: join, weights: {{{trial.join}: {checksum}, lape: {checksum}}}}},"
        (tmp_path / "named.yaml").write_text((tmp_path / "scenes.yaml").read_text().replace("flip: true,", pretrained))
        (named,) = [one for one in load_grid(tmp_path / "named.yaml").expand().trials if one.join == trial.join]
        if depth == 2:
            loaded = load_pretrained(named, tmp_path / "cache")
            assert loaded is not None
            assert torch.equal(loaded.model.state_dict()["norm.weight"], classifier.state_dict()["norm.weight"])
        else:
            with pytest.raises(InputError, match="depth"):
                load_pretrained(named, tmp_path / "cache")


def test_a_pair_learns_and_counts_every_labelled_pixel_once(tmp_path: Path) -> None:
    records = [run_trial(trial, Machine(tmp_path / "cache", "cpu")) for trial in trials(tmp_path)]
    for record in records:
        assert record.status == "done", record.error
        assert record.history is not None
        assert record.history[-1].train_loss < record.history[0].train_loss
        counts = unpack_pixel_counts(record.pixel_counts or "", 4, 3)
        labelled = sorted(counts[:, 1].sum(1).tolist())
        assert labelled[1:] == [16 * 24 - 1] * 3  # a pixel of each scene is ignored
        assert 8 * 24 - 2 <= labelled[0] <= 8 * 24  # the wide one, which is resized
        assert (counts[:, 1].sum(1) == counts[:, 2].sum(1)).all()
    assert records[0].miou != records[1].miou
    assert records[0].code is not None
    assert {"arch", "backbone"} <= records[0].code.keys()


@pytest.mark.parametrize(
    "backbone", ["backbone: resnet_cifar, blocks: 1, channels: 6", "backbone: timm, model: resnet10t"]
)
def test_backbones_without_tokens_are_trained_too(backbone: str, tmp_path: Path) -> None:
    trial = trials(tmp_path, backbone, pe="none", join="default", norm="bn")[0]
    first, again = (run_trial(trial, Machine(tmp_path / "cache", "cpu")) for _ in range(2))
    assert first.status == "done", first.error
    assert (first.miou, first.pixel_counts) == (again.miou, again.pixel_counts)
    assert (first.environment.timm is None) == ("timm" not in backbone)

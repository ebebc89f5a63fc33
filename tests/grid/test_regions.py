"""Grids of groupings into regions: which architectures, recipes and losses go with them, and the backbone."""

from __future__ import annotations

from pathlib import Path

import pytest

from suite.errors import InputError
from suite.grid.grid import load_grid
from suite.grid.trial import Trial
from suite.run.timing.pace import work_of

BACKBONE = "b" * 64
GRID = f"""
name: regions
description: made-up photographs
task: grouping
seeds: [0, 1]
recipe: {{base: digits, epochs: 4, test_every: 4, batch_size: 4, label_smoothing: 0.0, backbone_sha256: {BACKBONE}}}
architectures:
  dcn: {{family: regions_lite, patch_size: 4, embed_dim: 16, depth: 2, num_heads: 2, mlp_ratio: 2, grouping: dcn,
        updates: 2, prototype_heads: 2, prototype_hidden: 32}}
  kmeans: {{family: regions_lite, patch_size: 4, embed_dim: 16, depth: 2, num_heads: 2, mlp_ratio: 2, grouping: kmeans}}
datasets:
  photographs:
    num_classes: 1
    image_size: 16
    channels: 3
    train_images: 6
    test_images: 4
    mean: [0.5, 0.5, 0.5]
    std: [0.2, 0.2, 0.2]
    checksum: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    regions: {{train: val, test: test, annotators: 2}}
axes:
  arch: [dcn, kmeans]
  pe: [learnable]
  join: [default]
  norm: [ln]
  dataset: [photographs]
"""


def expanded(folder: Path, *changes: tuple[str, str]) -> list[Trial]:
    text = GRID
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / "regions.yaml").write_text(text, encoding="utf-8")
    return load_grid(folder / "regions.yaml").expand().trials


def refused(folder: Path, *changes: tuple[str, str]) -> str:
    with pytest.raises(InputError) as caught:
        expanded(folder, *changes)
    assert len(caught.value.problems) == 1
    assert "regions.yaml, line" in caught.value.problems[0].where
    return str(caught.value)


def test_the_weights_are_part_of_the_identity(tmp_path: Path) -> None:
    trials = expanded(tmp_path)
    others = expanded(tmp_path, (BACKBONE, "c" * 64))
    assert not {trial.id for trial in trials} & {trial.id for trial in others}
    assert trials[0].config["recipe"]["backbone_sha256"] == BACKBONE


def test_nothing_to_train_takes_one_epoch(tmp_path: Path) -> None:
    epochs = {trial.arch.name: trial.epochs for trial in expanded(tmp_path)}
    assert epochs == {"dcn": 4, "kmeans": 1}
    trained = {trial.arch.name: work_of(trial).trained for trial in expanded(tmp_path)}
    assert trained["dcn"] == 4 * trained["kmeans"]


@pytest.mark.parametrize("key", ["flip: true", "crop_padding: 2", "validation: 1", "ema_decay: 0.9", "decay_all: true"])
def test_recipes_that_fit(key: str, tmp_path: Path) -> None:
    assert len(expanded(tmp_path, ("label_smoothing: 0.0", f"label_smoothing: 0.0, {key}"))) == 4


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("label_smoothing: 0.0", "label_smoothing: 0.1", "label_smoothing: 0.1"),
        ("label_smoothing: 0.0", "label_smoothing: 0.0, crop_scale: [0.5, 1.0]", "has what regions can't follow"),
        ("label_smoothing: 0.0", "label_smoothing: 0.0, mixup: 0.5", "mixup: 0.5"),
        (BACKBONE, "xyz", "backbone_sha256"),
        ("num_classes: 1", "num_classes: 2", "num_classes: 1"),
        ("    regions: {train: val, test: test, annotators: 2}\n", "", "num_classes of at least 2"),
        ("annotators: 2", "annotators: 40", "annotators"),
        ("grouping: kmeans", "grouping: voronoi", "grouping"),
        ("grouping: kmeans", "grouping: kmeans, updates: 3", "with grouping: dcn alone"),
    ],
)
def test_what_does_not_fit_is_refused(old: str, new: str, told: str, tmp_path: Path) -> None:
    assert told in refused(tmp_path, (old, new))


def test_weights_must_be_named(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        expanded(tmp_path, (f", backbone_sha256: {BACKBONE}", ""))
    assert [problem.what.partition(" has")[0] for problem in caught.value.problems] == ["arch dcn", "arch kmeans"]
    assert "doesn't say which weights" in str(caught.value)


def test_kinds_must_agree(tmp_path: Path) -> None:
    plain = "dcn: {family: vit_lite, patch_size: 4, embed_dim: 16, depth: 2, num_heads: 2, mlp_ratio: 2}\n  other:"
    changes = (
        ("dcn: {family", f"{plain} {{family"),
        (f", backbone_sha256: {BACKBONE}", ""),
        ("[dcn, kmeans]", "[dcn]"),
    )
    assert "an architecture of images with regions" in refused(tmp_path, *changes)
    digits = [
        ("task: grouping", "task: classification"),
        ("dataset: [photographs]", "dataset: [digits]"),
        ("arch: [dcn, kmeans]", "arch: [dcn]"),
    ]
    assert "it is of images with regions" in refused(tmp_path, *digits)
    idle = [changes[0], *digits]
    assert "backbone_sha256 of the recipe has no effect" in refused(tmp_path, *idle)


def test_losses_of_classes_are_refused(tmp_path: Path) -> None:
    assert "loss focal is of classes" in refused(tmp_path, ("  norm: [ln]\n", "  norm: [ln]\n  loss: [focal]\n"))

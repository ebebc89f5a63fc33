"""Grouping into regions in training: the evidence of a test, its loss, and what a snapshot holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import one_hot

from suite.data.images import load_images
from suite.grid.recipe import Recipe
from suite.models.regions.grouping import Grouped
from suite.models.regions.measures import agreement
from suite.models.regions.modularity import modularity
from suite.train.steps.optimiser import build_optimiser
from suite.train.steps.state import trained_state
from suite.train.tasks import RegionGrouping, of_pixels, task_of
from tests.data.regions.test_preparation import prepared
from tests.grouped_photographs import write_photographs
from tests.models.families.test_regions import model

CPU = torch.device("cpu")


def test_the_evidence_is_the_agreement_with_each_annotator(tmp_path: Path) -> None:
    dataset = prepared(write_photographs(tmp_path / "photographs"), tmp_path / "cache")
    task = task_of(dataset)
    assert isinstance(task, RegionGrouping)
    images = load_images(dataset, "test", tmp_path / "cache")
    stored = images.batch(torch.arange(4))
    inputs, labels = task.split(task.normalise(dataset, CPU)(stored))
    assert labels is not None
    assert torch.equal(labels, stored[:, 3:].long())
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (dataset.mean, dataset.std))
    assert torch.allclose(inputs, (stored[:, :3] / 255 - mean) / std, atol=1e-5)
    generator = torch.Generator().manual_seed(0)
    patches = torch.randint(0, 3, (4, 4), generator=generator)  # 2 × 2 patches of 4 × 4 pixels
    features = torch.randn(4, 4, 16, generator=generator)
    grouped = Grouped(one_hot(patches, 5).float(), features)
    found, loss = task.judge(grouped, labels)
    assert loss.item() == pytest.approx(-modularity(*reversed(grouped)).sum().item())
    for row, regions, people in zip(found.numpy(), patches, labels.numpy(), strict=True):
        drawn = [one for one in people if one.any()]
        of_image = agreement(np.kron(regions.view(2, 2).numpy(), np.ones((4, 4), int)), drawn)
        expected = [100 * of_image.covering, 100 * of_image.rand, of_image.variation, len(regions.unique())]
        assert row == pytest.approx(expected, rel=1e-6)
    fields = task.fields(found.numpy())
    assert fields["test_images"] == 4
    assert fields["covering"] == task.top1(found.numpy()) == pytest.approx(found[:, 0].double().mean().item())
    assert {1, 2} == {len([one for one in people if one.any()]) for people in labels.numpy()}


def test_patches_become_pixels() -> None:
    pixels = of_pixels(torch.tensor([0, 1, 2, 3]), 4)
    assert pixels.tolist() == [[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3], [2, 2, 3, 3]]


def test_a_test_batch_has_a_bounded_number_of_pairs_of_patches() -> None:
    task = RegionGrouping(3, 8)
    assert task.most_tested((11, 64, 64)) == 64
    assert task.most_tested((11, 1024, 1024)) == 1


def test_a_snapshot_holds_no_frozen_backbone() -> None:
    for grouping in ("dcn", "kmeans"):
        grouped = model(grouping)
        assert trained_state(grouped).keys() == {name for name in grouped.state_dict() if name.startswith("head.")}
    other = torch.nn.Linear(2, 2)
    assert trained_state(other).keys() == other.state_dict().keys()


def test_an_optimiser_of_nothing_takes_steps_and_is_restored() -> None:
    recipe = Recipe(version=1, epochs=1, batch_size=2, lr=0.1)
    optimiser = build_optimiser(model("spectral"), recipe, set())
    optimiser.zero_grad()
    optimiser.step()
    optimiser.load_state_dict(optimiser.state_dict())
    assert not optimiser.state_dict()["state"]

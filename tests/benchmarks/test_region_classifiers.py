"""Classes of regions by clusters and by the nearest labelled regions, on features made by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.region_classes import consecutive
from benchmarks.region_classifiers import Labelled, clustered, counts_of, front_regions, retrieved_miou
from benchmarks.region_features import mean_features, region_numbers
from suite.data.bsds500 import Annotated
from suite.models.regions.matching import matched


def photographs(*masks: list[list[int]]) -> list[Annotated]:
    return [Annotated(str(number), Path(), (np.array(mask, np.uint16),)) for number, mask in enumerate(masks)]


def clustered_miou(features: Tensor, labels: Tensor, front: Tensor, masks: list[Annotated]) -> float:
    regions = consecutive(labels.numpy())
    found = clustered(mean_features(features, regions), front, 3, 0)
    return matched(counts_of(found, region_numbers(regions), masks, (3, 3))).miou


def test_regions_that_are_classes_have_miou_one() -> None:
    """Whatever the regions' numbers in each photograph: their features tell the classes."""
    features = torch.eye(4)[torch.tensor([[0, 1, 2, 2], [2, 0, 1, 1]])]
    masks = photographs([[0, 1], [2, 255]], [[2, 0], [1, 1]])
    labels = torch.tensor([[0, 1, 2, 2], [1, 2, 0, 0]])
    assert clustered_miou(features, labels, torch.ones(6, dtype=torch.bool), masks) == 1


def test_background_is_a_cluster_of_its_own() -> None:
    """Its regions take no part in the clustering: here they look like two classes, and are one."""
    features = torch.eye(4)[torch.tensor([[0, 1, 2, 3], [3, 0, 1, 2]])]
    masks = photographs([[0, 0], [1, 2]], [[2, 0], [0, 1]])
    labels = torch.tensor([[0, 1, 2, 3], [0, 1, 2, 3]])
    background = torch.tensor([[True, True, False, False], [False, True, True, False]])
    regions = consecutive(labels.numpy())
    front = front_regions(region_numbers(regions), background)
    assert front.tolist() == [False, False, True, True, True, False, False, True]
    assert clustered_miou(features, labels, front, masks) == 1
    assert clustered_miou(features, labels, torch.ones(8, dtype=torch.bool), masks) < 1


NUMBERS = torch.tensor([[0, 1, 2, 2], [3, 4, 4, 4]])  # of the regions of two photographs of four patches
MASKS = ([[1, 2], [0, 0]], [[255, 2], [2, 1]])


def test_a_region_gets_the_class_that_most_pixels_of_its_nearest_have() -> None:
    """Of cosines: lengths don't count. Region 3 has no class, since all its pixels are ignored, so none gets it."""
    features = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [0.6, 0.8, 0], [0, 0.8, 0.6]])
    library = Labelled(features, NUMBERS, torch.ones(5, dtype=torch.bool), photographs(*MASKS), 3)
    asked = torch.tensor([[9.0, 1, 0], [0.1, 0.2, 0.1], [0, 0, 5], [0.6, 0.8, 0]])
    everything = torch.ones(4, dtype=torch.bool)
    assert library.classes_of(asked, everything, 1).tolist() == [1, 2, 0, 2]
    # Of the four nearest, which are all that have a class, two have class 2.
    assert library.classes_of(asked, everything, 5).tolist() == [2, 2, 2, 2]


def test_background_gets_the_class_that_most_of_it_has() -> None:
    """The third region looks like the background of the labelled ones. It is foreground, so its nearest is region 1."""
    front = torch.tensor([True, True, False, False, True])
    library = Labelled(torch.eye(5), NUMBERS, front, photographs(*MASKS), 3)
    asked = torch.tensor([[1.0, 0, 0, 0, 0], [0, 1, 0, 0, 0], [0, 0.1, 1, 0, 0]])
    assert library.classes_of(asked, torch.tensor([True, False, True]), 1).tolist() == [1, 0, 2]


def test_the_miou_of_given_classes_is_a_mean_over_classes() -> None:
    """Worked by hand: 3 of 4 pixels, and 1 of 2."""
    assert retrieved_miou(np.array([[3, 0], [1, 1]])) == pytest.approx(100 * (3 / 4 + 1 / 2) / 2)

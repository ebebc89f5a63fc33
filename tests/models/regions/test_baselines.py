from __future__ import annotations

import numpy as np
import pytest
import torch

from suite.models.regions.baselines import kmeans_regions, spectral_regions
from suite.models.regions.measures import contingency, covering
from tests.models.regions.communities import planted


@pytest.mark.parametrize("regions", [kmeans_regions, spectral_regions])
def test_planted_communities_are_found_in_each_image(regions) -> None:
    images = [planted(3, seed=seed) for seed in range(3)]
    found = regions(torch.stack([features for features, _ in images]), 3, seed=0)
    assert found.shape == (3, 24)
    for labels, (_, truth) in zip(found, images, strict=True):
        assert covering(contingency(truth.numpy(), labels)) == 1


@pytest.mark.parametrize("regions", [kmeans_regions, spectral_regions])
def test_they_are_reproducible_and_ignore_the_scale_of_features(regions) -> None:
    features = torch.randn(2, 30, 8)
    scaled = features * torch.tensor([1.0, 5.0])[:, None, None]
    first, again = regions(features, 4, seed=1), regions(scaled, 4, seed=1)
    for labels, others in zip(first, again, strict=True):
        assert covering(contingency(labels, others)) == 1


def test_an_image_with_fewer_features_than_clusters_has_fewer_regions() -> None:
    features = torch.eye(2).repeat_interleave(6, dim=0)[None]
    assert len(np.unique(kmeans_regions(features, 3))) == 2


def test_a_graph_in_components_gives_them() -> None:
    features = torch.eye(3).repeat_interleave(6, dim=0)[None]
    truth = torch.arange(3).repeat_interleave(6).numpy()
    assert covering(contingency(truth, spectral_regions(features, 3)[0])) == 1

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from suite.models.regions.modularity import modularity_loss
from suite.models.regions.partition import segment
from suite.models.regions.training import TrainingPlan, train
from tests.models.regions.communities import planted, same, small


def test_planted_communities_are_found_by_training_on_their_graphs() -> None:
    """Five prototypes are offered; two or three are used, as many as an image has communities. Each has its own."""
    images = [planted(2 + seed % 2, seed=seed) for seed in range(24)]
    features = torch.stack([image for image, _ in images])
    network = small()
    before = segment(network, features)
    losses = train(network, features, TrainingPlan(steps=400, lr=1e-3))
    after = segment(network, features)

    def right(labels: Tensor) -> int:
        return sum(same(found, truth) for found, (_, truth) in zip(labels, images, strict=True))

    assert right(before.labels) <= 6
    assert right(after.labels) >= 20
    planted_memberships = torch.stack([one_hot(truth, 3).float() for _, truth in images])
    assert losses[0] > -0.1
    assert losses[-1] < 0.8 * float(modularity_loss(features, planted_memberships))


def test_training_is_reproducible_and_its_seed_orders_the_images() -> None:
    features = torch.randn(9, 12, 16)
    plan = TrainingPlan(steps=7, batch_size=4)
    first, again, other = (train(small(), features, plan, seed) for seed in (0, 0, 1))
    assert first == again
    assert first != other
    assert len(first) == 7


def test_a_batch_size_above_the_number_of_images_takes_all() -> None:
    assert len(train(small(), torch.randn(3, 12, 16), TrainingPlan(steps=2, batch_size=32))) == 2

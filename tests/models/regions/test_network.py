from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from suite.errors import InputError
from suite.models.regions.modularity import modularity_loss
from suite.models.regions.network import ConceptGenerator, CrossAttention
from suite.models.regions.partition import Partition, partition, segment, similarities
from suite.models.regions.training import TrainingPlan, train

SMALL = {"updates": 2, "heads": 2, "hidden": 32}


def small(width: int = 16, prototypes: int = 5, seed: int = 0) -> ConceptGenerator:
    torch.manual_seed(seed)
    return ConceptGenerator(width, prototypes=prototypes, **SMALL)


def planted(
    groups: int, *, seed: int, patches: int = 24, width: int = 16, noise: float = 0.25
) -> tuple[Tensor, Tensor]:
    """The features of an image with equal communities around orthogonal directions, and the community of each patch."""
    draw = torch.Generator().manual_seed(seed)
    centres = torch.linalg.qr(torch.randn(width, width, generator=draw)).Q[:groups]
    truth = torch.arange(patches).remainder(groups)[torch.randperm(patches, generator=draw)]
    return centres[truth] + 0.25 * torch.randn(patches, width, generator=draw) / width**0.5, truth


def same(first: Tensor, second: Tensor) -> bool:
    """Whether two labellings have the same regions."""
    return torch.equal(first[:, None] == first, second[:, None] == second)


def test_the_defaults_are_the_published_ones() -> None:
    network = ConceptGenerator(384)
    assert network.prototypes.shape == (5, 384)
    assert len(network.updates) == 6
    assert TrainingPlan().steps == 2500


def test_cross_attention_is_that_of_torch() -> None:
    torch.manual_seed(0)
    ours, theirs = CrossAttention(12, 3).double(), nn.MultiheadAttention(12, 3, batch_first=True).double()
    with torch.no_grad():
        weights = (ours.query.weight, ours.key.weight, ours.value.weight)
        theirs.in_proj_weight.copy_(torch.cat(weights))
        # Any bias of the keys: it changes nothing.
        theirs.in_proj_bias.copy_(torch.cat([ours.query.bias, torch.randn(12), ours.value.bias]))
        theirs.out_proj.load_state_dict(ours.proj.state_dict())
    queries, tokens = torch.randn(2, 5, 12).double(), torch.randn(2, 30, 12).double()
    torch.testing.assert_close(ours(queries, tokens), theirs(queries, tokens, tokens, need_weights=False)[0])


def test_prototypes_depend_on_their_own_image_only() -> None:
    network, features = small().double(), torch.randn(3, 10, 16).double()
    whole = network(features)
    torch.testing.assert_close(whole[1:2], network(features[1:2]))
    assert not torch.allclose(whole[0], whole[1])


def test_permuted_prototypes_change_nothing_but_names() -> None:
    network, features = small().double(), torch.randn(4, 20, 16).double()
    before = similarities(features, network(features))
    order = torch.tensor([3, 1, 4, 0, 2])
    with torch.no_grad():
        network.prototypes.copy_(network.prototypes[order])
    after = similarities(features, network(features))
    torch.testing.assert_close(after, before[:, :, order])
    torch.testing.assert_close(modularity_loss(features, after), modularity_loss(features, before))
    parts = partition(before), partition(after)
    assert parts[0].counts.tolist() == parts[1].counts.tolist()
    assert all(same(*labels) for labels in zip(parts[0].labels, parts[1].labels, strict=True))


def test_the_order_of_the_patches_changes_nothing() -> None:
    network, features = small().double(), torch.randn(2, 20, 16).double()
    order = torch.randperm(20)
    torch.testing.assert_close(network(features[:, order]), network(features))


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


def test_segment_leaves_the_mode_and_does_not_depend_on_the_batch() -> None:
    network, features = small(), torch.randn(5, 12, 16)
    whole, parts = segment(network, features), segment(network, features, batch_size=2)
    assert isinstance(whole, Partition)
    assert torch.equal(whole.labels, parts.labels)
    assert network.training


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(InputError, match="divides the features' width of 128") as error:
        ConceptGenerator(128)
    assert len(error.value.problems) == 1
    with pytest.raises(InputError, match="prototypes can't be 0"):
        ConceptGenerator(12, prototypes=0)

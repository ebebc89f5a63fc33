from __future__ import annotations

import pytest
import torch
from torch import nn

from suite.errors import InputError
from suite.models.regions.modularity import modularity_loss
from suite.models.regions.network import ConceptGenerator, CrossAttention
from suite.models.regions.partition import partition, similarities
from suite.models.regions.training import TrainingPlan
from tests.models.regions.communities import same, small


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


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(InputError, match="divides the features' width of 128") as error:
        ConceptGenerator(128)
    assert len(error.value.problems) == 1
    with pytest.raises(InputError, match="prototypes can't be 0"):
        ConceptGenerator(12, prototypes=0)

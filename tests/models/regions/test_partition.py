from __future__ import annotations

import itertools

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from suite.models.regions.partition import Partition, foreground, partition, segment, similarities
from tests.models.regions.communities import small


def test_unused_prototypes_are_dropped_and_regions_numbered_without_gaps() -> None:
    similarity = torch.zeros(2, 4, 5)
    for image, nearest in enumerate([[4, 1, 4, 1], [2, 2, 2, 2]]):
        similarity[image, torch.arange(4), torch.tensor(nearest)] = 1
    found = partition(similarity)
    assert found.labels.tolist() == [[1, 0, 1, 0], [0, 0, 0, 0]]
    assert found.counts.tolist() == [2, 1]


def test_similarities_are_cosines() -> None:
    features, prototypes = torch.randn(2, 7, 3), torch.randn(2, 4, 3)
    expected = torch.nn.functional.cosine_similarity(features[:, :, None], prototypes[:, None], dim=3)
    torch.testing.assert_close(similarities(features, prototypes), expected)


def test_regions_of_much_attention_are_foreground() -> None:
    labels = torch.tensor([[0, 0, 1, 1, 2, 2], [0, 0, 0, 0, 0, 0]])
    attention = torch.tensor([[0.1, 0.2, 4.0, 5.0, 0.3, 0.1], [0.1, 0.2, 4.0, 5.0, 0.3, 0.1]])
    found = foreground(Partition(labels, torch.tensor([3, 1])), attention)
    assert found.tolist() == [[False, False, True, True, False, False], [True] * 6]


@given(st.lists(st.integers(0, 50), min_size=2, max_size=6, unique=True))
@settings(max_examples=50, deadline=None)
def test_the_split_is_the_best_of_all(sums: list[int]) -> None:
    """Against the sum of squares within each of the two groups, over all ways to make two groups of the regions."""

    def within(group: tuple[int, ...]) -> float:
        return sum((value - sum(group) / len(group)) ** 2 for value in group)

    labels, counts = torch.arange(len(sums))[None], torch.tensor([len(sums)])
    upper = foreground(Partition(labels, counts), torch.tensor([sums], dtype=torch.float64))[0].tolist()
    groups = [tuple(v for v, up in zip(sums, upper, strict=True) if up == side) for side in (False, True)]
    assert max(groups[0]) < min(groups[1])
    best = min(
        within(tuple(chosen)) + within(tuple(set(sums) - set(chosen)))
        for size in range(1, len(sums))
        for chosen in itertools.combinations(sums, size)
    )
    assert within(groups[0]) + within(groups[1]) <= best + 1e-9


def test_segment_leaves_the_mode_and_does_not_depend_on_the_batch() -> None:
    network, features = small(), torch.randn(5, 12, 16)
    whole, parts = segment(network, features), segment(network, features, batch_size=2)
    assert isinstance(whole, Partition)
    assert torch.equal(whole.labels, parts.labels)
    assert network.training

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from suite.models.regions.modularity import SharedMembership, modularity, modularity_loss


def plain(features: list[list[float]], similarity: list[list[float]]) -> float:
    """The modularity of one image by loops over pairs, in Python's double precision."""

    def cosine(first: list[float], second: list[float]) -> float:
        product = math.fsum(a * b for a, b in zip(first, second, strict=True))
        return product / math.sqrt(math.fsum(a * a for a in first)) / math.sqrt(math.fsum(b * b for b in second))

    patches = range(len(features))
    weights = [[max(0.0, cosine(features[i], features[j])) for j in patches] for i in patches]
    degrees = [math.fsum(row) for row in weights]
    total = math.fsum(degrees)
    terms = []
    for i in patches:
        for j in patches:
            shared = max(max(0.0, a) * max(0.0, b) for a, b in zip(similarity[i], similarity[j], strict=True))
            terms.append((weights[i][j] - degrees[i] * degrees[j] / total) * shared)
    return math.fsum(terms) / total


def drawn(seed: int, images: int = 2, patches: int = 9, width: int = 4, prototypes: int = 3) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    features = torch.randn(images, patches, width, generator=draw, dtype=torch.float64)
    return features, 2 * torch.rand(images, patches, prototypes, generator=draw, dtype=torch.float64) - 1


@given(st.integers(0, 2**31), st.integers(1, 12), st.integers(1, 5))
@settings(max_examples=30, deadline=None)
def test_it_is_what_loops_over_pairs_give(seed: int, patches: int, prototypes: int) -> None:
    features, similarity = drawn(seed, patches=patches, prototypes=prototypes)
    expected = [plain(x, s) for x, s in zip(features.tolist(), similarity.tolist(), strict=True)]
    found = modularity(features, similarity)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(modularity_loss(features, similarity), -found.mean())
    single = modularity(features.float(), similarity.float())
    torch.testing.assert_close(single.double(), found, rtol=1e-4, atol=1e-5)


def test_the_gradient_is_that_of_finite_differences() -> None:
    features, similarity = drawn(3)
    similarity.requires_grad_()
    assert torch.autograd.gradcheck(lambda s: modularity(features, s), similarity)


def test_the_gradient_is_that_of_autograd_through_all_products() -> None:
    features, similarity = drawn(5, images=3, patches=20, prototypes=5)
    similarity.requires_grad_()
    (found,) = torch.autograd.grad(modularity_loss(features, similarity), similarity)
    x = torch.nn.functional.normalize(features, dim=2)
    weights = (x @ x.mT).clamp(min=0)
    degrees = weights.sum(2)
    total = degrees.sum(1)[:, None, None]
    s = similarity.clamp(min=0)
    shared = (s[:, :, None] * s[:, None]).amax(dim=3)
    loss = -((weights - degrees[:, :, None] * degrees[:, None] / total) / total * shared).sum((1, 2)).mean()
    (expected,) = torch.autograd.grad(loss, similarity)
    torch.testing.assert_close(found, expected)


def test_no_gradient_flows_to_the_features() -> None:
    features, similarity = drawn(0)
    features.requires_grad_()
    similarity.requires_grad_()
    modularity_loss(features, similarity).backward()
    assert features.grad is None
    assert similarity.grad is not None


@given(st.integers(0, 2**31), st.permutations(range(4)))
@settings(max_examples=20, deadline=None)
def test_the_order_of_prototypes_and_the_scale_of_features_change_nothing(seed: int, order: list[int]) -> None:
    features, similarity = drawn(seed, prototypes=4)
    found = modularity(features, similarity)
    torch.testing.assert_close(modularity(features, similarity[:, :, order]), found)
    torch.testing.assert_close(modularity(features * 7.5, similarity), found)


def test_two_separate_communities_have_modularity_one_half() -> None:
    """By hand: A has blocks of ones, so that (A − d d / 2m) / 2m sums to 1 − 2 · (1/2)² within the blocks."""
    features = torch.eye(2).repeat_interleave(5, dim=0)[None]
    torch.testing.assert_close(modularity(features, features), torch.tensor([0.5]))
    together = torch.ones(1, 10, 1)
    torch.testing.assert_close(modularity(features, together), torch.tensor([0.0]))


def test_features_of_zeros_give_zero_and_no_nan() -> None:
    similarity = torch.ones(1, 4, 2, requires_grad=True)
    found = modularity(torch.zeros(1, 4, 3), similarity)
    assert found.tolist() == [0.0]
    found.sum().backward()
    assert similarity.grad is not None
    assert not similarity.grad.any()


def test_only_pairs_of_patches_are_kept_for_the_gradient() -> None:
    memberships = torch.rand(2, 50, 8, requires_grad=True)
    weights = torch.rand(2, 50, 50)
    kept: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x) or x, lambda x: x):
        SharedMembership.apply(memberships, weights + weights.mT)
    assert sum(x.nelement() * x.element_size() for x in kept) < 2 * 50 * 50 * (4 + 1) + 2 * 50 * 8 * 4 + 1


def test_more_prototypes_than_bytes_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 256 prototypes, not 257"):
        modularity(torch.ones(1, 2, 3), torch.ones(1, 2, 257))

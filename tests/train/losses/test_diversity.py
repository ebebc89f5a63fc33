"""The terms of DiversePatch against their equations, in plain Python, and their gradients."""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from suite.grid.losses import LOSSES, Term
from suite.train.losses.diversity import Seen, mean_similarity, region_means
from suite.train.losses.target import Target, own_patches

TERMS = list(dict.fromkeys(term for loss in LOSSES.values() for term in loss.terms if term.sees == "patches"))
Vector = list[float]
CLASSES = 3


def function(term: Term) -> Callable[[Seen, Target, float], Tensor]:
    module, name = term.code.split(":")
    found: Callable[[Seen, Target, float], Tensor] = getattr(import_module(module), name)
    return found


def dot(a: Vector, b: Vector) -> float:
    return math.fsum(x * y for x, y in zip(a, b, strict=True))


def mean(vectors: list[Vector]) -> Vector:
    return [math.fsum(column) / len(vectors) for column in zip(*vectors, strict=True)]


def softmax(scores: Vector) -> Vector:
    powers = [math.exp(score - max(scores)) for score in scores]
    return [power / math.fsum(powers) for power in powers]


def cosines(h: list[Vector]) -> list[float]:
    pairs = [(i, j) for i in range(len(h)) for j in range(len(h)) if i != j]
    return [dot(h[i], h[j]) / math.sqrt(dot(h[i], h[i]) * dot(h[j], h[j])) for i, j in pairs]


def cosine(image: dict[str, Any]) -> float:
    found = [abs(value) for value in cosines(image["last"])]
    return math.fsum(found) / len(found)


def signed_cosine(image: dict[str, Any]) -> float:
    found = cosines(image["last"])
    return math.fsum(found) / len(found)


def contrastive(image: dict[str, Any]) -> float:
    losses = []
    for i, (b, h) in enumerate(zip(image["first"], image["last"], strict=True)):
        others = mean([other for j, other in enumerate(image["last"]) if j != i])
        losses.append(-math.log(softmax([dot(b, h), dot(b, others)])[0]))
    return math.fsum(losses) / len(losses)


def released_contrastive(image: dict[str, Any], *, itself: bool = True) -> float:
    t, side = image["normalised"], math.isqrt(len(image["normalised"]))
    losses = []
    for i, e in enumerate(image["embedded"]):
        row, column = divmod(i, side)
        square = [
            t[r * side + c] if 0 <= r < side and 0 <= c < side else [0.0] * len(e)
            for r in range(row - 3, row + 4)
            for c in range(column - 3, column + 4)
            if (r, c) != (row, column)
        ]
        compared = t if itself else [other for j, other in enumerate(t) if j != i]
        scores = [dot(e, t[i]), dot(e, mean(compared)), dot(e, mean(square))]
        losses.append(-math.log(softmax(scores)[0] + 1e-8))
    return math.fsum(losses) / len(losses)


def revised_contrastive(image: dict[str, Any]) -> float:
    return released_contrastive(image, itself=False)


def mixing(image: dict[str, Any]) -> float:
    losses = []
    for logits, own in zip(image["logits"], image["own"], strict=True):
        label = image["label"] if own else image["partner"]
        losses.append(-math.log(softmax(logits)[label]))
    return math.fsum(losses) / len(losses)


def released_mixing(image: dict[str, Any]) -> float:
    total, smoothing = 0.0, image["smoothing"]
    own = sum(image["own"])
    areas = (own / len(image["own"]), 1 - own / len(image["own"]))
    for area, label, logits in zip(areas, (image["label"], image["partner"]), image["logits"], strict=True):
        told = [smoothing / CLASSES + (1 - smoothing) * (k == label) for k in range(CLASSES)]
        learned = softmax(logits)
        total += area * math.fsum(
            p * (math.log(p) - math.log(q + 1e-8)) for p, q in zip(told, learned, strict=True) if p > 0
        )
    return total


LOOPS = {
    loop.__name__: loop
    for loop in (
        cosine, signed_cosine, contrastive, released_contrastive, revised_contrastive, mixing, released_mixing,
    )
}  # fmt: skip


def drawn(
    seed: int, images: int, side: int, width: int, term: Term, dtype: torch.dtype, mixed: bool
) -> tuple[Any, Any]:
    """What a term sees, and a target."""
    generator = torch.Generator().manual_seed(seed)

    def tokens() -> Tensor:
        return torch.randn(images, side**2, width, generator=generator, dtype=dtype)

    rows = side**2 if term.classifies == "patches" else 2
    logits = torch.randn(images, rows, CLASSES, generator=generator, dtype=dtype) * 3
    seen = Seen(tokens(), tokens(), tokens(), tokens(), logits)
    own = torch.rand(images, side**2, generator=generator) < 0.6
    labels = torch.randint(CLASSES, (images,), generator=generator)
    if not mixed:
        return seen, Target(labels, own=torch.ones_like(own))
    return seen, Target.of(labels, own.double().mean(1, keepdim=True), own)


def test_each_term_has_a_loop_here() -> None:
    assert {term.code.split(":")[1] for term in TERMS} == LOOPS.keys()


@pytest.mark.parametrize("term", TERMS, ids=lambda term: term.code.split(":")[1])
@given(
    seed=st.integers(0, 2**32),
    images=st.integers(1, 4),
    side=st.integers(2, 9),
    width=st.integers(1, 6),
    mixed=st.booleans(),
    smoothing=st.sampled_from([0.0, 0.1, 0.5]),
    double=st.booleans(),
)
@settings(max_examples=20, deadline=None)
def test_a_term_is_its_equation(
    term: Term, seed: int, images: int, side: int, width: int, mixed: bool, smoothing: float, double: bool
) -> None:
    dtype = torch.float64 if double else torch.float32
    seen, target = drawn(seed, images, side, width, term, dtype, mixed)
    values = []
    for number in range(images):
        image = {name: value[number].tolist() for name, value in seen._asdict().items() if value is not None}
        partner = target.labels if target.partners is None else target.partners
        image |= {
            "own": target.own[number].tolist(),
            "label": int(target.labels[number]),
            "partner": int(partner[number]),
            "smoothing": smoothing,
        }
        values.append(LOOPS[term.code.split(":")[1]](image))
    expected = math.fsum(values) / images
    found = function(term)(seen, target, smoothing)
    assert found.shape == ()
    assert found.dtype == dtype
    assert found.item() == pytest.approx(expected, rel=1e-9 if double else 2e-4, abs=1e-9 if double else 2e-5)


@pytest.mark.parametrize("term", TERMS, ids=lambda term: term.code.split(":")[1])
def test_a_terms_gradient_is_its_slope(term: Term) -> None:
    seen, target = drawn(5, 2, 2, 3, term, torch.float64, True)
    inputs = [tensor.requires_grad_() for tensor in seen if tensor is not None]

    def value(*tensors: Tensor) -> Tensor:
        return function(term)(Seen(*tensors), target, 0.1)

    value(*inputs).backward()  # type: ignore[no-untyped-call]
    used = [tensor for tensor in inputs if tensor is not None and tensor.grad is not None]
    assert used
    places = [number for number, tensor in enumerate(inputs) if tensor is not None and tensor.grad is not None]

    def of_used(*tensors: Tensor) -> Tensor:
        every = [tensor.detach() for tensor in inputs]
        for place, tensor in zip(places, tensors, strict=True):
            every[place] = tensor
        return value(*every)

    assert torch.autograd.gradcheck(of_used, used)


def test_the_anchor_of_the_release_is_a_constant_and_the_papers_isnt() -> None:
    graphs = {}
    for name in ("diverse_contrastive", "diverse_contrastive_release", "diverse_contrastive_revised"):
        (term,) = LOSSES[name].terms
        seen, target = drawn(5, 2, 3, 4, term, torch.float32, True)
        for tensor in seen:
            if tensor is not None:
                tensor.requires_grad_()
        function(term)(seen, target, 0.0).backward()  # type: ignore[no-untyped-call]
        graphs[name] = [
            field for field, tensor in seen._asdict().items() if tensor is not None and tensor.grad is not None
        ]
    assert graphs == {
        "diverse_contrastive": ["first", "last"],
        "diverse_contrastive_release": ["normalised"],
        "diverse_contrastive_revised": ["normalised"],
    }


def test_patches_that_are_alike_opposite_or_at_right_angles() -> None:
    one = torch.tensor([[1.0, 2.0], [1.0, 2.0]])
    assert mean_similarity(torch.stack([one, one * torch.tensor([[3.0], [-1.0]])])).tolist() == pytest.approx([1, 1])
    assert mean_similarity(torch.eye(5)[None]).tolist() == pytest.approx([0], abs=1e-6)


def test_half_precision_is_taken_to_single() -> None:
    h = torch.randn(2, 9, 8)
    assert mean_similarity(h.bfloat16()).dtype == torch.float32
    torch.testing.assert_close(mean_similarity(h.bfloat16()), mean_similarity(h), atol=0.02, rtol=0.02)


def test_which_patches_are_an_images_own() -> None:
    boxes = torch.tensor([[0, 8], [4, 8], [8, 0], [12, 0]])  # of two images of 12 pixels: one box, and an empty one
    own = own_patches(boxes, 2, 12, 3)
    assert own.view(2, 3, 3).int().tolist() == [[[1, 1, 0], [1, 1, 1], [1, 1, 1]], [[1] * 3] * 3]
    assert own_patches(None, 2, 12, 3).all()


def test_the_means_of_regions() -> None:
    t = torch.arange(8.0).view(1, 4, 2)
    own = torch.tensor([[True, True, False, True]])
    found = region_means(t, own)
    torch.testing.assert_close(found, torch.tensor([[[8 / 3, 11 / 3], [4.0, 5.0]]]), atol=1e-3, rtol=1e-3)
    assert region_means(t, torch.ones(1, 4, dtype=torch.bool))[0, 1].tolist() == [0, 0]

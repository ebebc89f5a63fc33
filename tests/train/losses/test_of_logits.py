"""Losses on logits: reference values, and what a training step makes of them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from timm.loss import BinaryCrossEntropy
from torch import Tensor
from torch.nn.functional import cross_entropy

from suite.grid.losses import LOSSES
from suite.grid.recipe import Recipe
from suite.models import create_model
from suite.train.losses.learner import Learner, learner_for
from suite.train.losses.objective import Objective
from suite.train.losses.target import Target

CLASSES = 4
SHARE = torch.tensor([[0.7], [1.0], [0.2], [0.5]])


def recipe(**values: Any) -> Recipe:
    return Recipe.model_validate({"version": 1, "epochs": 1, "batch_size": 4, "lr": 1.0, **values})


def found(level: str, logits: Tensor, share: Tensor | None, **values: Any) -> Tensor:
    target = Target.of(torch.tensor([0, 1, 2, 2]), share)
    return Objective(recipe(**values), loss=LOSSES[level])((logits, ()), target, torch.zeros(4, 3, 2, 2))


@pytest.fixture
def logits() -> Tensor:
    return torch.randn(4, CLASSES, generator=torch.Generator().manual_seed(1))


def test_binary_cross_entropy_is_that_of_thresholded_labels(logits: Tensor) -> None:
    """timm's with a threshold of 0; an image whose share is 1 has one label."""
    labels = torch.tensor([[0.7, 0, 0.3, 0], [0, 1, 0, 0], [0, 0.8, 0.2, 0], [0.5, 0, 0.5, 0]])
    expected = BinaryCrossEntropy(smoothing=0, target_threshold=0.0)(logits, labels)
    torch.testing.assert_close(found("bce", logits, SHARE), expected)
    torch.testing.assert_close(found("bce", logits, None), BinaryCrossEntropy(0)(logits, torch.tensor([0, 1, 2, 2])))


def test_focal_and_poly_are_their_formulas(logits: Tensor) -> None:
    p = logits.softmax(1)[range(4), [0, 1, 2, 2]]
    torch.testing.assert_close(found("focal", logits, None), (-((1 - p) ** 2) * p.log()).mean())
    torch.testing.assert_close(found("poly1", logits, None), (-p.log() + 1 - p).mean())
    weighted = found("poly1", logits, None, loss_weights={"poly_epsilon": 2.0})
    torch.testing.assert_close(weighted, (-p.log() + 2 * (1 - p)).mean())
    assert torch.equal(found("poly1", logits, None, loss_weights={"poly_epsilon": 0.0}), cross_entropy(
        logits, torch.tensor([0, 1, 2, 2])
    ))  # fmt: skip
    mixed = torch.tensor([[0.7, 0, 0.3, 0], [0, 1, 0, 0], [0, 0.8, 0.2, 0], [0.5, 0, 0.5, 0]]) * 0.9 + 0.025
    expected = (cross_entropy(logits, mixed) + 1 - (mixed * logits.softmax(1)).sum(1).mean()).item()
    assert found("poly1", logits, SHARE, label_smoothing=0.1).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("level", ["bce", "focal", "poly1"])
@pytest.mark.parametrize("family", ["deit_distilled", "resnet_cifar"])
def test_every_architecture_trains_with_them(level: str, family: str) -> None:
    sizes: dict[str, Any] = {"blocks": 1, "channels": 4}
    if family == "deit_distilled":
        sizes = {"patch_size": 4, "embed_dim": 8, "depth": 2, "num_heads": 2, "mlp_ratio": 1.0}
    model = create_model(family, pe="none", num_classes=CLASSES, image_size=8, **sizes)
    learner = learner_for(model, LOSSES[level], recipe(), CLASSES, seed=1).train()
    assert isinstance(learner, Learner)
    images = torch.randn(4, 3, 8, 8)
    loss = Objective(recipe(), loss=LOSSES[level])(learner(images), Target.of(torch.arange(4), SHARE), images)
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.isfinite()
    head = [one for name, one in model.named_parameters() if name.endswith(("head.weight", "fc.weight"))]
    assert head[0].grad is not None

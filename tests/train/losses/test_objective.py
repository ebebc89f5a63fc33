"""The loss of a step, with and without a teacher, against its formula written out in plain Python."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from timm.data.mixup import mixup_target
from timm.loss import SoftTargetCrossEntropy
from torch import nn
from torch.nn.functional import cross_entropy

from suite.grid.recipe import Recipe
from suite.train.losses.objective import Objective
from suite.train.losses.target import Target

IMAGES, CLASSES = 5, 7
SHA = "0" * 64


def recipe(**values: Any) -> Recipe:
    return Recipe.model_validate({"version": 1, "epochs": 1, "batch_size": 1, "lr": 1.0, **values})


def distilling(kind: str, **values: Any) -> Recipe:
    return recipe(distillation=kind, teacher="test_resnet", teacher_sha256=SHA, **values)


@pytest.fixture
def heads() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(3)
    first, second = torch.randn(2, IMAGES, CLASSES) * 4
    return first.requires_grad_(), second.requires_grad_()


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(IMAGES, 1, 2, 2)


LABELS = torch.tensor([0, 6, 2, 2, 5])
TARGET = Target(LABELS)


@pytest.fixture
def teacher() -> nn.Module:
    torch.manual_seed(8)
    return nn.Sequential(nn.Flatten(), nn.Linear(4, CLASSES), nn.Dropout(0.5)).eval()


def log_softmax(logits: list[float]) -> list[float]:
    total = math.fsum(math.exp(logit) for logit in logits)
    return [logit - math.log(total) for logit in logits]


def base_loss(logits: torch.Tensor, smoothing: float) -> float:
    losses = []
    for row, label in zip(logits.tolist(), LABELS.tolist(), strict=True):
        logs = log_softmax(row)
        losses.append(-(1 - smoothing) * logs[label] - smoothing * sum(logs) / CLASSES)
    return math.fsum(losses) / IMAGES


def hard_loss(student: torch.Tensor, teacher: torch.Tensor) -> float:
    total = 0.0
    for learned, told in zip(student.tolist(), teacher.tolist(), strict=True):
        total -= log_softmax(learned)[told.index(max(told))]
    return total / IMAGES


def soft_loss(student: torch.Tensor, teacher: torch.Tensor, tau: float) -> float:
    total = 0.0
    for learned, told in zip(student.tolist(), teacher.tolist(), strict=True):
        for q, p in zip(
            log_softmax([logit / tau for logit in learned]), log_softmax([logit / tau for logit in told]), strict=True
        ):
            total += math.exp(p) * (p - q)
    return total * tau * tau / (IMAGES * CLASSES)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_without_a_teacher_it_is_cross_entropy_to_the_last_bit(
    heads: tuple[torch.Tensor, torch.Tensor], images: torch.Tensor, smoothing: float
) -> None:
    expected = cross_entropy(heads[0], LABELS, label_smoothing=smoothing)
    objective = Objective(recipe(label_smoothing=smoothing))
    assert torch.equal(objective(heads[0], TARGET, images), expected)
    loss = objective(heads, TARGET, images)
    assert torch.equal(loss, expected)
    loss.backward()
    assert heads[0].grad is not None
    assert heads[1].grad is None  # the second head learns nothing, as in the release
    assert loss.item() == pytest.approx(base_loss(heads[0], smoothing), rel=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_of_mixed_images_it_is_that_of_timm(
    heads: tuple[torch.Tensor, torch.Tensor], images: torch.Tensor, smoothing: float
) -> None:
    share = torch.tensor([0.9, 0.1, 0.5, 1.0, 0.0])[:, None]
    expected = SoftTargetCrossEntropy()(heads[0], mixup_target(LABELS, CLASSES, share, smoothing))
    found = Objective(recipe(label_smoothing=smoothing))(heads[0], Target.of(LABELS, share), images)
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)
    unmixed = Objective(recipe(label_smoothing=smoothing))(heads[0], Target.of(LABELS, torch.ones(IMAGES, 1)), images)
    assert unmixed.item() == pytest.approx(base_loss(heads[0], smoothing), rel=1e-6)


@pytest.mark.parametrize("alpha", [0.5, 0.1])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_hard(
    heads: tuple[torch.Tensor, torch.Tensor], images: torch.Tensor, teacher: nn.Module, alpha: float, smoothing: float
) -> None:
    objective = Objective(distilling("hard", label_smoothing=smoothing, distillation_alpha=alpha), teacher)
    expected = (1 - alpha) * base_loss(heads[0], smoothing) + alpha * hard_loss(heads[1], teacher(images))
    assert objective(heads, TARGET, images).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("alpha", "tau"), [(0.5, 3.0), (0.1, 1.0), (1.0, 20.0)])
def test_soft(
    heads: tuple[torch.Tensor, torch.Tensor], images: torch.Tensor, teacher: nn.Module, alpha: float, tau: float
) -> None:
    chosen = distilling("soft", label_smoothing=0.1, distillation_alpha=alpha, distillation_temperature=tau)
    expected = (1 - alpha) * base_loss(heads[0], 0.1) + alpha * soft_loss(heads[1], teacher(images), tau)
    assert Objective(chosen, teacher)(heads, TARGET, images).item() == pytest.approx(expected, rel=1e-5)


def test_a_student_that_says_what_its_teacher_says_has_nothing_to_learn(
    images: torch.Tensor, teacher: nn.Module
) -> None:
    logits = teacher(images).detach()
    loss = Objective(distilling("soft", distillation_alpha=1.0), teacher)((logits, logits), TARGET, images)
    assert loss.item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("kind", ["soft", "hard"])
def test_gradients_reach_both_heads_and_not_the_teacher(
    heads: tuple[torch.Tensor, torch.Tensor], images: torch.Tensor, teacher: nn.Module, kind: str
) -> None:
    Objective(distilling(kind), teacher)(heads, TARGET, images).backward()
    assert all(head.grad is not None and head.grad.abs().sum() > 0 for head in heads)
    assert all(parameter.grad is None for parameter in teacher.parameters())


def test_the_loss_is_computed_in_float32_under_autocast(images: torch.Tensor, teacher: nn.Module) -> None:
    logits = torch.full((IMAGES, CLASSES), 20.0, dtype=torch.bfloat16)
    logits[:, 0] = 20.125
    with torch.autocast("cpu", dtype=torch.bfloat16):
        told = teacher(images)
        loss = Objective(distilling("soft"), teacher)((logits, logits), TARGET, images)
    assert told.dtype == torch.bfloat16
    assert loss.dtype == torch.float32
    expected = 0.5 * base_loss(logits, 0) + 0.5 * soft_loss(logits, told.float(), 3.0)
    assert loss.item() == pytest.approx(expected, rel=1e-5)

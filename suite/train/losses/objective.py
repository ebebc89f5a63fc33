"""The loss of a training step: cross entropy, distillation, and terms on patch tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, kl_div, log_softmax

from suite.grid.losses import Loss
from suite.grid.recipe import Recipe
from suite.models.regions.modularity import modularity_loss
from suite.registry import resolve
from suite.train.augmentation.mixing import mixed_targets
from suite.train.losses.diversity import Seen
from suite.train.losses.of_pixels import pixel_cross_entropy
from suite.train.losses.target import Target

# Logits [B, classes]. A distilled model gives a pair: the logits of its two heads. A `Learner` gives a pair: either of
# these, and the fields of `Seen`. A model that groups patches gives `Grouped`, whose loss needs no labels.
Output = Tensor | tuple[Any, Any]
_PIXELS = 3  # dimensions of labels of pixels, [B, H, W]
_ANNOTATIONS = 4  # and of annotations of pixels, [B, annotators, H, W]


class Objective:
    """The loss that a recipe minimises.

    Args:
        recipe: The recipe.
        teacher: The teacher, frozen and in evaluation mode, if the recipe uses distillation. Without a teacher, the
            second head of a distilled model gets no loss, as in DeiT's release.
        loss: The loss of a `Learner`. Its terms are added with the weights in the recipe.
    """

    def __init__(self, recipe: Recipe, teacher: nn.Module | None = None, loss: Loss | None = None) -> None:
        self._recipe, self._teacher = recipe, teacher
        terms = loss.active(recipe) if loss is not None else []
        self._learns = loss is not None
        self._base = None if loss is None or loss.base is None else _function(loss.base.code)
        self._terms = [(_function(term.code), term.factor(recipe), term.sees) for term in terms]

    def __call__(self, output: Output, target: Target, images: Tensor) -> Tensor:
        """The loss of a batch, a scalar.

        Call this in the same autocast context as the student, so that the teacher computes in the same precision.
        Terms on patches compute in single precision.

        Args:
            output: The student's output in training mode.
            target: The target.
            images: The student's input, normalised, [B, C, H, W].
        """
        if not self._learns:
            return self._task(output, target, images)
        output, seen = output
        total = self._task(output, target, images)
        with torch.autocast(images.device.type, enabled=False):
            for term, weight, sees in self._terms:
                if sees == "patches":
                    total = total + weight * term(Seen(*seen), target, self._recipe.label_smoothing)
                else:
                    logits = _first(output)
                    labels = _labels(target, logits.shape[1], self._recipe.label_smoothing)
                    total = total + weight * term(logits, labels, self._recipe.label_smoothing)
        return total

    def _task(self, output: Output, target: Target, images: Tensor) -> Tensor:
        """The cross entropy, combined with the distillation loss if there is a teacher.

        Args:
            output: The student's output, without the fields of `Seen`.
            target: The target.
            images: The student's input, normalised, [B, C, H, W].
        """
        recipe = self._recipe
        if target.labels.ndim == _ANNOTATIONS:
            grouped: Any = output
            with torch.autocast(images.device.type, enabled=False):
                return modularity_loss(grouped.features.float(), grouped.similarities.float())
        logits, student = output if isinstance(output, tuple) else (output, None)
        if self._base is not None:
            with torch.autocast(images.device.type, enabled=False):
                labels = _labels(target, logits.shape[1], recipe.label_smoothing)
                base = self._base(logits.float(), labels, recipe.label_smoothing)
        elif target.labels.ndim == _PIXELS:
            base = pixel_cross_entropy(logits.float(), target.labels, recipe.label_smoothing)
        elif target.partners is None or target.share is None:
            base = cross_entropy(logits.float(), target.labels, label_smoothing=recipe.label_smoothing)
        else:
            classes = logits.shape[1]
            mixed = mixed_targets(target.labels, target.partners, target.share, classes, recipe.label_smoothing)
            base = cross_entropy(logits.float(), mixed)
        if self._teacher is None:
            return base
        assert student is not None  # `check_cell` lets no other model meet a teacher
        with torch.no_grad():
            teacher = self._teacher(images).float()
        if recipe.distillation == "hard":
            distilled = hard_distillation(student.float(), teacher)
        else:
            distilled = soft_distillation(student.float(), teacher, recipe.distillation_temperature)
        return (1 - recipe.distillation_alpha) * base + recipe.distillation_alpha * distilled


def hard_distillation(student: Tensor, teacher: Tensor) -> Tensor:
    """Cross entropy with the teacher's predicted class as the label (DeiT, Eq. 3). Logits [B, classes]."""
    return cross_entropy(student, teacher.argmax(dim=1))


def soft_distillation(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """τ² times the KL divergence between the softened outputs of teacher and student (DeiT, Eq. 2).

    This follows DeiT's release: KL(teacher ‖ student), summed, then divided by the number of the student's logits,
    B × classes. The equation suggests a mean over images only, which is `classes` times as large.

    Args:
        student: The student's logits, [B, classes].
        teacher: The teacher's logits, [B, classes].
        temperature: τ.
    """
    learned, target = (log_softmax(logits / temperature, dim=1) for logits in (student, teacher))
    return kl_div(learned, target, reduction="sum", log_target=True) * temperature**2 / student.numel()


def _first(output: Output) -> Tensor:
    """The logits of the class head, in single precision."""
    logits: Tensor = output[0] if isinstance(output, tuple) else output
    return logits.float()


def _labels(target: Target, classes: int, smoothing: float) -> Tensor:
    """The labels of a batch, smoothed and mixed: float32 [B, classes]."""
    if target.partners is None or target.share is None:
        share = torch.ones(len(target.labels), 1, device=target.labels.device)
        return mixed_targets(target.labels, target.labels, share, classes, smoothing)
    return mixed_targets(target.labels, target.partners, target.share, classes, smoothing)


def _function(code: str) -> Callable[[Any, Any, float], Tensor]:
    found: Callable[[Any, Any, float], Tensor] = resolve(code)
    return found

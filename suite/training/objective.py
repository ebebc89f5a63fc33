"""The loss of a training step: cross entropy, and what a teacher adds to it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, kl_div, log_softmax

from suite.recipe import Recipe
from suite.training.augmentation.mixing import mixed_targets

Output = Tensor | tuple[Tensor, Tensor]  # logits [B, classes]; of a distilled model those of its two heads


class Objective:
    """What a step makes smaller, as the recipe says.

    teacher: frozen and in evaluation mode, where the recipe distils. Without one, the second head of a distilled
    model gets no loss, as in DeiT's release.
    """

    def __init__(self, recipe: Recipe, teacher: nn.Module | None = None) -> None:
        self._recipe, self._teacher = recipe, teacher

    def __call__(self, output: Output, labels: Tensor, images: Tensor, share: Tensor | None = None) -> Tensor:
        """The loss of a batch, a scalar.

        output: of the student in training mode. labels: int64 [B]. images: [B, C, H, W], normalised, as the
        student saw them. share: of each mixed image's own label, as `mix` gives it. Call it where the student was
        called: the teacher computes in the same precision.
        """
        recipe = self._recipe
        logits, student = output if isinstance(output, tuple) else (output, None)
        if share is None:
            base = cross_entropy(logits.float(), labels, label_smoothing=recipe.label_smoothing)
        else:
            targets = mixed_targets(labels, share, logits.shape[1], recipe.label_smoothing)
            base = cross_entropy(logits.float(), targets)
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
    """Cross entropy with the class that the teacher chose as the label (DeiT, Eq. 3). Logits [B, classes]."""
    return cross_entropy(student, teacher.argmax(dim=1))


def soft_distillation(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """τ² times the divergence of the student's softened classes from the teacher's (DeiT, Eq. 2).

    Logits [B, classes]. As the release computes it: KL(teacher ‖ student), summed, then divided by the number of the
    student's logits, B × classes. The mean over images alone, which the equation suggests, is `classes` times as large.
    """
    learned, target = (log_softmax(logits / temperature, dim=1) for logits in (student, teacher))
    return kl_div(learned, target, reduction="sum", log_target=True) * temperature**2 / student.numel()

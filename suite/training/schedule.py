"""The learning rate of each epoch. Needs no torch."""

from __future__ import annotations

import math

from suite.recipe import Recipe


def learning_rate(recipe: Recipe, epoch: int) -> float:
    """Linear warm-up, then a cosine to `min_lr`, constant within an epoch, as timm's CosineLRScheduler.

    The cosine is not shifted by the warm-up: epoch t of T has min + (peak - min) (1 + cos(π t / T)) / 2.
    Source: timm 0.3.2 to 1.0 `CosineLRScheduler` without a warm-up prefix, as the LaPE paper's recipes use it.
    """
    if epoch < recipe.warmup_epochs:
        return recipe.warmup_lr + epoch * (recipe.lr - recipe.warmup_lr) / recipe.warmup_epochs
    return recipe.min_lr + 0.5 * (recipe.lr - recipe.min_lr) * (1 + math.cos(math.pi * epoch / recipe.epochs))

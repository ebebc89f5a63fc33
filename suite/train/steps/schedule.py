"""The learning rate of each step. Needs no torch."""

from __future__ import annotations

import math

from suite.grid.recipe import Recipe


def learning_rate(recipe: Recipe, epoch: int, step: int = 0, steps: int = 1) -> float:
    """The learning rate of a step, out of `steps` in an epoch: warm-up, a cosine to `min_lr`, and cool-down at that.

    Without `warmup_prefix` the cosine is not shifted by the warm-up: at epoch t of T it has
    min + (peak - min) (1 + cos(π t / T)) / 2. With it, t and T count from the end of the warm-up.
    Source: timm 0.3.2 to 1.0 `CosineLRScheduler`, by epochs as timm calls it, and by steps as Swin does; the harmonic
    warm-up is Compact Transformers' `examples/main.py`.
    """
    units = steps if recipe.schedule_unit == "step" else 1
    unit = epoch * steps + step if recipe.schedule_unit == "step" else epoch
    time = max(unit - recipe.schedule_lag, 0) / units
    if time < recipe.warmup_epochs:
        if recipe.warmup == "harmonic":
            return recipe.lr / (recipe.warmup_epochs - time)
        return recipe.warmup_lr + time * (recipe.lr - recipe.warmup_lr) / recipe.warmup_epochs
    start = recipe.warmup_epochs if recipe.warmup_prefix else 0
    if time >= recipe.epochs:
        return recipe.min_lr
    turned = math.pi * (time - start) / (recipe.epochs - start)
    return recipe.min_lr + 0.5 * (recipe.lr - recipe.min_lr) * (1 + math.cos(turned))

"""The learning-rate schedule. Doesn't import torch."""

from __future__ import annotations

import math

from suite.grid.recipe import Recipe


def learning_rate(recipe: Recipe, epoch: int, step: int = 0, steps: int = 1) -> float:
    """The learning rate at one step: warm-up, then a decay to `min_lr`, then a cool-down at `min_lr`.

    The cosine decay is min + (peak - min) (1 + cos(π t / T)) / 2 at epoch t of T, the polynomial one
    min + (peak - min) (1 - t / T)^p. Without `warmup_prefix`, t counts from the first epoch, so the warm-up replaces
    the start of the decay. With it, t and T count from the end of the warm-up.

    Source: `CosineLRScheduler` of timm 0.3.2 to 1.0, updated per epoch as in timm or per step as in Swin. The harmonic
    warm-up is that of Compact Transformers' `examples/main.py`. The polynomial decay is that of DeepLab
    (arXiv 1606.00915, section 3.1), with a lower end as in MMSegmentation.

    Args:
        recipe: the training recipe.
        epoch: the epoch, from 0.
        step: the step within the epoch, from 0.
        steps: the number of steps per epoch.
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
    if recipe.decay == "polynomial":
        share: float = (1 - (time - start) / (recipe.epochs - start)) ** recipe.decay_power
        return recipe.min_lr + (recipe.lr - recipe.min_lr) * share
    turned = math.pi * (time - start) / (recipe.epochs - start)
    return recipe.min_lr + 0.5 * (recipe.lr - recipe.min_lr) * (1 + math.cos(turned))

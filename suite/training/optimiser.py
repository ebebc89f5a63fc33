"""AdamW, with the recipe's weight decay where it belongs."""

from __future__ import annotations

import torch
from torch import nn

from suite.recipe import Recipe


def parameter_groups(model: nn.Module, recipe: Recipe, exempt: set[str]) -> list[dict[str, object]]:
    """Two groups: decayed, and not. Fixed parameters are in neither.

    Not decayed, as in timm: parameters of one dimension (norms, biases); and those named in `exempt` (the
    position embedding and the class token), unless the recipe decays them, as Compact Transformers' does, or all.
    """
    spared = set() if recipe.decay_position or recipe.decay_all else exempt
    least = 0 if recipe.decay_all else 2  # dimensions of what is decayed
    decayed: list[nn.Parameter] = []
    plain: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            (plain if parameter.ndim < least or name in spared else decayed).append(parameter)
    return [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": plain, "weight_decay": 0.0}]


def build_optimiser(model: nn.Module, recipe: Recipe, exempt: set[str]) -> torch.optim.Optimizer:
    """AdamW; its learning rate is set anew each step."""
    groups = [group for group in parameter_groups(model, recipe, exempt) if group["params"]]
    return torch.optim.AdamW(groups, lr=recipe.lr, betas=recipe.betas, eps=recipe.eps, fused=True)

"""AdamW, with the recipe's weight decay where it belongs."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from suite.grid.recipe import Recipe


def parameter_groups(
    parameters: Mapping[str, Tensor], recipe: Recipe, exempt: set[str], *, stacked: bool = False
) -> list[dict[str, object]]:
    """Two groups: decayed, and not. Fixed parameters are in neither.

    Not decayed, as in timm: parameters of one dimension (norms, biases); and those named in `exempt` (the
    position embedding and the class token), unless the recipe decays them, as Compact Transformers' does, or all.
    stacked: the first dimension is that of several models.
    """
    spared = set() if recipe.decay_position or recipe.decay_all else exempt
    least = (0 if recipe.decay_all else 2) + stacked  # dimensions of what is decayed
    decayed: list[Tensor] = []
    plain: list[Tensor] = []
    for name, parameter in parameters.items():
        if parameter.requires_grad:
            (plain if parameter.ndim < least or name in spared else decayed).append(parameter)
    return [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": plain, "weight_decay": 0.0}]


def build_optimiser(model: nn.Module, recipe: Recipe, exempt: set[str]) -> torch.optim.Optimizer:
    """AdamW for a model's parameters: see `adamw`."""
    return adamw(parameter_groups(dict(model.named_parameters()), recipe, exempt), recipe)


def adamw(groups: list[dict[str, object]], recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW; its learning rate is set anew each step: on a GPU in a tensor, which a CUDA graph reads."""
    groups = [group for group in groups if group["params"]]
    first: Tensor = groups[0]["params"][0]  # type: ignore[index]
    lr = torch.tensor(recipe.lr, device=first.device) if first.is_cuda else recipe.lr
    return _AdamW(groups, lr=lr, betas=recipe.betas, eps=recipe.eps, fused=True, capturable=first.is_cuda)


class _AdamW(torch.optim.AdamW):
    """torch's, without torch's compiler, which optimisers load only to be left alone by it.

    That would take 150 MB and seconds in every process that trains. No compiled model calls an optimiser.
    Source: torch/_compile.py, whose `_disable_dynamo` keeps what it has made of a function as an attribute of it, and
    `_use_grad_for_differentiable` of torch/optim/optimizer.py. In a torch that does it otherwise nothing is gained.
    """

    def __init__(self, groups: list[dict[str, object]], **options: Any) -> None:
        for method in vars(torch.optim.Optimizer).values():
            plain = getattr(method, "__wrapped__", None)
            if plain is not None:
                vars(plain).setdefault("__dynamo_disable", plain)
        super().__init__(groups, **options)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One step."""
        inspect.unwrap(torch.optim.AdamW.step)(self, closure)


def set_rate(optimiser: torch.optim.Optimizer, lr: float) -> None:
    """Let the next step have this learning rate."""
    for group in optimiser.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(lr)
        else:
            group["lr"] = lr

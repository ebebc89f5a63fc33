"""AdamW and SGD, with the recipe's weight decay applied to the right parameters."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from suite.grid.recipe import Recipe

# The tables of a relative position embedding (PE), with or without stages, and with or without a `Learner` around it.
_RELATIVE_TABLE = re.compile(r"(^|\.)position\.(\d+\.)?biases\.\d+\.table$")


def parameter_groups(
    parameters: Mapping[str, Tensor], recipe: Recipe, exempt: set[str], *, stacked: bool = False
) -> list[dict[str, object]]:
    """Split parameters into two groups: with and without weight decay. Frozen parameters are in neither.

    As in timm, these have no weight decay: parameters with one dimension (norms, biases), unless the recipe sets
    `decay_all`; those named in `exempt`, unless it sets `decay_position` or `decay_all`; and the tables of a relative
    position embedding, if it unsets `decay_relative_position`.

    Args:
        parameters: The parameters, by their names in the model.
        recipe: The recipe.
        exempt: The names of the position embedding and the class token.
        stacked: The first dimension of each parameter is the model; it is not counted.
    """
    spared = set() if recipe.decay_position or recipe.decay_all else set(exempt)
    if not recipe.decay_relative_position:
        spared |= {name for name in parameters if _RELATIVE_TABLE.search(name)}
    least = (0 if recipe.decay_all else 2) + stacked  # the fewest dimensions of a parameter with weight decay
    decayed: list[Tensor] = []
    plain: list[Tensor] = []
    for name, parameter in parameters.items():
        if parameter.requires_grad:
            (plain if parameter.ndim < least or name in spared else decayed).append(parameter)
    return [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": plain, "weight_decay": 0.0}]


def build_optimiser(model: nn.Module, recipe: Recipe, exempt: set[str]) -> torch.optim.Optimizer:
    """Create the recipe's optimiser for a model's parameters. See `parameter_groups` for the arguments."""
    return optimiser_of(parameter_groups(dict(model.named_parameters()), recipe, exempt), recipe)


def optimiser_of(groups: list[dict[str, object]], recipe: Recipe) -> torch.optim.Optimizer:
    """Create the recipe's optimiser. Call `set_rate` before each step.

    SGD has momentum as torch has it: v ← m v + g + w θ, θ ← θ - lr v. On a GPU the rate is a tensor, so a CUDA graph
    can read it.
    """
    groups = [group for group in groups if group["params"]]
    if not groups:  # a model without trained parameters: nothing to do in a step
        return _AdamW([{"params": []}], lr=recipe.lr)
    first: Tensor = groups[0]["params"][0]  # type: ignore[index]
    lr = torch.tensor(recipe.lr, device=first.device) if first.is_cuda else recipe.lr
    if recipe.optimiser == "sgd":
        return _SGD(groups, lr=lr, momentum=recipe.momentum, fused=True)
    return _AdamW(groups, lr=lr, betas=recipe.betas, eps=recipe.eps, fused=True, capturable=first.is_cuda)


class _WithoutCompiler(torch.optim.Optimizer):
    """One of torch's optimisers, without loading torch's compiler. A base class before torch's own.

    torch's optimisers load the compiler only to exclude themselves from it. That takes 150 MB and several seconds in
    every process that trains. Here no compiled model calls an optimiser.
    Source: torch/_compile.py, whose `_disable_dynamo` keeps the wrapped function as an attribute of the original, and
    `_use_grad_for_differentiable` in torch/optim/optimizer.py. With a torch version that works differently, the
    compiler is loaded again.
    """

    def __init__(self, groups: list[dict[str, object]], **options: Any) -> None:
        for method in vars(torch.optim.Optimizer).values():
            plain = getattr(method, "__wrapped__", None)
            if plain is not None:
                vars(plain).setdefault("__dynamo_disable", plain)
        super().__init__(groups, **options)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Take one optimiser step."""
        inspect.unwrap(super().step.__func__)(self, closure)  # type: ignore[attr-defined]


class _AdamW(_WithoutCompiler, torch.optim.AdamW):
    pass


class _SGD(_WithoutCompiler, torch.optim.SGD):
    pass


def set_rate(optimiser: torch.optim.Optimizer, lr: float) -> None:
    """Set the learning rate of the next step."""
    for group in optimiser.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(lr)
        else:
            group["lr"] = lr

"""The training state as tensors by name: gathered for a snapshot, and restored from one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

Tensors = dict[str, Tensor]


def trained_state(model: nn.Module) -> Tensors:
    """The parameters and buffers that training may change: none of a frozen backbone, whose weights are on disk."""
    state, of_backbone = model.state_dict(), getattr(model, "backbone_state", None)
    frozen = of_backbone() if callable(of_backbone) else {}
    return {name: value for name, value in state.items() if name not in frozen}


def gather(
    weights: Mapping[str, Tensor],
    means: Mapping[str, Tensor],
    optimiser: torch.optim.Optimizer,
    generators: Sequence[torch.Generator],
) -> Tensors:
    """Gather the training state. The tensors are not copies: save them before the next step.

    Args:
        weights: The models' parameters and buffers.
        means: Their moving averages.
        optimiser: The optimiser.
        generators: The generators that training draws from.
    """
    state = {f"model.{name}": value for name, value in weights.items()}
    state |= {f"mean.{name}": value for name, value in means.items()}
    for number, values in optimiser.state_dict()["state"].items():
        state |= {f"optimiser.{number}.{name}": value for name, value in values.items()}
    state |= {f"random.{number}": generator.get_state() for number, generator in enumerate(generators)}
    return state


@torch.no_grad()
def restore(
    state: Mapping[str, Tensor],
    weights: Mapping[str, Tensor],
    means: Mapping[str, Tensor],
    optimiser: torch.optim.Optimizer,
    generators: Sequence[torch.Generator],
) -> None:
    """Restore the training state from a result of `gather`. Weights and means are changed in place.

    Args:
        state: The result of `gather`.
        weights: The models' parameters and buffers.
        means: Their moving averages.
        optimiser: The optimiser.
        generators: The generators that training draws from.
    """
    for kind, tensors in (("model", weights), ("mean", means)):
        for name, value in tensors.items():
            value.copy_(state[f"{kind}.{name}"])
    values: dict[int, Tensors] = {}
    for key, value in state.items():
        if key.startswith("optimiser."):
            _, parameter, name = key.split(".")
            values.setdefault(int(parameter), {})[name] = value
    optimiser.load_state_dict({**optimiser.state_dict(), "state": values})
    for number, generator in enumerate(generators):
        generator.set_state(state[f"random.{number}"])

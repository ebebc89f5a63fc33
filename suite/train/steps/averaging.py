"""A running mean of the weights, to be tested in their place."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn


class Follower:
    """Tensors that follow others by an exponential moving average; whole numbers are copied. Source: timm's `ModelEma`.

    means, values: by the same names. Both are kept where they are in memory.
    """

    def __init__(self, means: Mapping[str, Tensor], values: Mapping[str, Tensor], decay: float) -> None:
        self._share = 1 - decay
        floats = [name for name, value in values.items() if value.is_floating_point()]
        self._means, self._values = ([tensors[name] for name in floats] for tensors in (means, values))
        self._counts = [(means[name], value) for name, value in values.items() if not value.is_floating_point()]

    @torch.no_grad()
    def update(self) -> None:
        """Update the means with the values after a step."""
        torch._foreach_lerp_(self._means, self._values, self._share)
        for count, value in self._counts:
            count.copy_(value)


class Average(Follower):
    """The mean of a model's state: parameters and buffers. model: the averaged model, in evaluation mode."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        super().__init__(self.model.state_dict(), model.state_dict(), decay)

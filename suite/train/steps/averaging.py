"""An exponential moving average (EMA) of the weights, which is tested in place of the weights."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn


class Follower:
    """Updates tensors as an exponential moving average of others; integers are copied. Source: timm's `ModelEma`.

    All tensors are updated in place.

    Args:
        means: The averages, by name.
        values: The tensors to average, by the same names.
        decay: The weight of the old average in each update.
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
    """The moving average of a model's parameters and buffers. The averaged model, in evaluation mode, is `model`."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        super().__init__(self.model.state_dict(), model.state_dict(), decay)

"""A running mean of the weights, to be tested in their place."""

from __future__ import annotations

import copy

import torch
from torch import nn


class Average:
    """An exponential moving average of a model's state: parameters and buffers. Source: timm's `ModelEma`.

    model: the averaged model, in evaluation mode.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self._share = 1 - decay
        mean, now = self.model.state_dict(), model.state_dict()
        self._means, self._values = ([state[n] for n in now if now[n].is_floating_point()] for state in (mean, now))
        self._counts = [(mean[n], now[n]) for n in now if not now[n].is_floating_point()]

    @torch.no_grad()
    def update(self) -> None:
        """Take in the model's state after a step."""
        torch._foreach_lerp_(self._means, self._values, self._share)
        for count, value in self._counts:
            count.copy_(value)

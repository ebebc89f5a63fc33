"""Notice a training run that diverges."""

from __future__ import annotations

import math

import torch
from torch import Tensor


class DivergedError(Exception):
    """The loss of a training step was not finite."""

    def __init__(self, step: int) -> None:
        super().__init__(f"the loss of step {step} was not finite")
        self.step = step


def check_finite(losses: Tensor, first_step: int) -> float:
    """The mean of an epoch's losses.

    Args:
        losses: The loss of each step, [steps].
        first_step: The number of the epoch's first step, counted over the training run.

    Raises:
        DivergedError: A loss is not finite. The error has the number of the first such step.
    """
    values = losses.double().cpu()
    if not torch.isfinite(values).all():
        raise DivergedError(first_step + int((~torch.isfinite(values)).nonzero()[0]))
    mean = values.mean().item()
    return mean if math.isfinite(mean) else math.inf

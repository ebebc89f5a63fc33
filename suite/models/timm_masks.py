"""Dropout and stochastic depth of timm's models, with masks from the generators that a training step names.

timm's own layers draw from torch's global generator, which the threads of a training step share: the masks would
depend on which thread comes first.
"""

from __future__ import annotations

from typing import Any

import torch
from timm.layers.drop import DropPath
from torch import Tensor, nn

from suite.models.layers.dropout import drop_path, dropout, masks_from


class SeededDropPath(DropPath):
    """timm's stochastic depth, drawn by `suite.models.layers.dropout`."""

    drop_prob: float

    def forward(self, x: Tensor) -> Tensor:
        """Set samples of [batch, …] to zero at random in training, and scale the others up."""
        return drop_path(x, self.drop_prob) if self.training else x


class SeededDropout(nn.Dropout):
    """torch's dropout, drawn by `suite.models.layers.dropout`."""

    def forward(self, x: Tensor) -> Tensor:
        """Set elements to zero at random in training, and scale the others up."""
        return dropout(x, self.p) if self.training else x


def seed_masks(network: nn.Module) -> None:
    """Let the dropout layers of a timm model draw their masks from named generators. The model itself is changed."""
    module: Any
    for module in network.modules():
        if type(module) is DropPath and module.scale_by_keep:
            module.__class__ = SeededDropPath
        elif type(module) is nn.Dropout:
            module.__class__ = SeededDropout
        drop = getattr(module, "attn_drop", None)
        if isinstance(drop, nn.Dropout) and drop.p > 0 and getattr(module, "fused_attn", False):
            module.fused_attn = False  # the fused kernel draws by itself, and doesn't call the layer


def draws_by_itself(network: nn.Module, images: Tensor) -> bool:
    """Whether a forward pass in training draws from torch's global generator, after `seed_masks`.

    The state of that generator and of the model doesn't change.

    Args:
        network: a model without batch statistics.
        images: some images.
    """
    training = network.training
    with torch.random.fork_rng(devices=[]), masks_from([torch.Generator()]), torch.no_grad():
        before = torch.get_rng_state()
        network.train()(images)
        after = torch.get_rng_state()
    network.train(training)
    return not torch.equal(before, after)

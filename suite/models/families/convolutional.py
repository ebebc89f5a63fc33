"""The convolutional networks: what their families share."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

from torch import Tensor, nn

from suite.models.model import Model
from suite.models.norms import Norm
from suite.models.sizes import MapSize


class ConvolutionalNetwork(Model):
    """A network of feature maps. Its `network` is torchvision's, or made of torchvision's blocks."""

    network: nn.Module

    def forward(self, images: Tensor) -> Tensor:
        """[batch, channels, height, width] to logits [batch, classes]."""
        logits: Tensor = self.network(images)
        return logits


def map_norm(norm: Norm, size: MapSize) -> Callable[..., nn.Module]:
    """What makes a norm of so many channels, as torchvision calls it."""
    module, name = norm.maps.split(":")
    made: Any = getattr(import_module(module), name)
    return partial(made, eps=size.norm_eps)


def first_convolution(made: nn.Conv2d, in_chans: int) -> nn.Conv2d:
    """A network's first convolution, for images of another number of channels."""
    return nn.Conv2d(in_chans, made.out_channels, made.kernel_size, made.stride, made.padding, bias=False)  # type: ignore[arg-type]

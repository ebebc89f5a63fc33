"""What the convolutional families share."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from suite.models.model import Model
from suite.models.norms import Norm
from suite.models.sizes import MapSize
from suite.registry import resolve


class ConvolutionalNetwork(Model):
    """A convolutional network. Its `network` is a torchvision model or is built from torchvision's blocks."""

    network: nn.Module

    def forward(self, images: Tensor) -> Tensor:
        """[batch, channels, height, width] to logits [batch, classes]."""
        logits: Tensor = self.network(images)
        return logits


def map_norm(norm: Norm, size: MapSize) -> Callable[..., nn.Module]:
    """A factory of norm layers, called with the number of channels, as torchvision's `norm_layer` expects."""
    return partial(resolve(norm.maps), eps=size.norm_eps)


def first_convolution(made: nn.Conv2d, in_chans: int) -> nn.Conv2d:
    """A copy of a network's first convolution for `in_chans` input channels, with new weights and no bias."""
    return nn.Conv2d(in_chans, made.out_channels, made.kernel_size, made.stride, made.padding, bias=False)  # type: ignore[arg-type]

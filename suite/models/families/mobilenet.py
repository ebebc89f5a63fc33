"""MobileNetV2 (arXiv 1801.04381), built on torchvision's implementation."""

from __future__ import annotations

from torchvision.models import mobilenetv2 as torchvision_mobilenet

from suite.models.architectures import Architecture
from suite.models.families.convolutional import ConvolutionalNetwork, first_convolution, map_norm
from suite.models.families.resnet import RULES
from suite.models.joins import Join
from suite.models.norms import Norm
from suite.models.positions import Position
from suite.models.sizes import InvertedSize


class MobileNetV2(ConvolutionalNetwork):
    """MobileNetV2 at any width. Its last feature map has 1/32 of the image's height and width."""

    rules = RULES

    def __init__(self, architecture: Architecture, position: Position, join: Join, norm: Norm, **shape: int) -> None:
        super().__init__(architecture, position, join, norm, **shape)
        size = architecture.size
        assert isinstance(size, InvertedSize)
        network = torchvision_mobilenet.MobileNetV2(
            num_classes=shape["num_classes"],
            width_mult=size.width_multiple,
            norm_layer=map_norm(norm, size),
            dropout=size.drop,
        )
        network.features[0][0] = first_convolution(network.features[0][0], shape["in_chans"])
        self.network = network

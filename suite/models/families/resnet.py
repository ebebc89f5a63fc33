"""Residual networks (arXiv 1512.03385): torchvision's ResNets, and three-stage CIFAR ResNets from its blocks."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn
from torch.nn.functional import pad
from torchvision.models import resnet as torchvision_resnet

from suite.models.architectures import Architecture
from suite.models.families.convolutional import ConvolutionalNetwork, first_convolution, map_norm
from suite.models.initialise import Rules
from suite.models.joins import Join
from suite.models.norms import Norm
from suite.models.positions import Position
from suite.models.sizes import FourStageSize, ThreeStageSize

RULES = Rules(position_std=0.02, class_token_std=0.02, convolution="kaiming_fan_out")  # as in torchvision


class ZeroShortcut(nn.Module):
    """A shortcut without parameters (§3.3, option A): take every second pixel and append channels of zeros."""

    def __init__(self, added: int) -> None:
        super().__init__()
        self.added = added

    def forward(self, x: Tensor) -> Tensor:
        """Map [batch, channels, height, width] to [batch, channels + added, ⌈height / 2⌉, ⌈width / 2⌉]."""
        return pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, self.added))


class CifarResNet(ConvolutionalNetwork):
    """The CIFAR ResNet of §4.2.

    A 3×3 convolution, three stages with w, 2w and 4w channels, global average pooling and a linear head.
    """

    rules = Rules(position_std=0.02, class_token_std=0.02, convolution="kaiming_normal")  # §3.4

    def __init__(self, architecture: Architecture, position: Position, join: Join, norm: Norm, **shape: int) -> None:
        super().__init__(architecture, position, join, norm, **shape)
        size = architecture.size
        assert isinstance(size, ThreeStageSize)
        make, width = map_norm(norm, size), size.channels
        layers: dict[str, nn.Module] = {
            "conv1": nn.Conv2d(shape["in_chans"], width, 3, padding=1, bias=False),
            "bn1": make(width),
            "relu": nn.ReLU(),
        }
        for stage in range(3):
            wide = width * 2**stage
            blocks = [torchvision_resnet.BasicBlock(wide, wide, norm_layer=make) for _ in range(size.blocks)]
            if stage:
                shortcut = ZeroShortcut(wide // 2)
                blocks[0] = torchvision_resnet.BasicBlock(wide // 2, wide, 2, shortcut, norm_layer=make)
            layers[f"layer{stage + 1}"] = nn.Sequential(*blocks)
        layers |= {
            "avgpool": nn.AdaptiveAvgPool2d(1),
            "flatten": nn.Flatten(),
            "fc": nn.Linear(wide, shape["num_classes"]),
        }
        self.network = nn.Sequential(OrderedDict(layers))


class ResNet(ConvolutionalNetwork):
    """The ImageNet ResNet of Table 1. As in torchvision, a bottleneck's stride is in its 3×3 convolution."""

    rules = RULES

    def __init__(self, architecture: Architecture, position: Position, join: Join, norm: Norm, **shape: int) -> None:
        super().__init__(architecture, position, join, norm, **shape)
        size = architecture.size
        assert isinstance(size, FourStageSize)
        block = torchvision_resnet.Bottleneck if size.bottleneck else torchvision_resnet.BasicBlock
        network = torchvision_resnet.ResNet(
            block, list(size.blocks), num_classes=shape["num_classes"], norm_layer=map_norm(norm, size)
        )
        network.conv1 = first_convolution(network.conv1, shape["in_chans"])
        self.network = network

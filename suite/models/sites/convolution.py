"""Position embeddings that convolutions make from the tokens."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import conv2d

from suite.models.sites.site import AfterBlock, Place

KERNEL = 3


class PositionGenerator(AfterBlock):
    """x + depthwise 3×3 convolution of x, with zero padding: CPVT's positional encoding generator (PEG).

    The zeros around the grid tell the tokens where they are. The convolution starts as in the authors' released code
    (Twins): weights from a normal of variance 2 / 9, biases 0.
    """

    no_decay = True

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.weight = nn.Parameter(torch.zeros(place.width, 1, KERNEL, KERNEL))
        self.bias = nn.Parameter(torch.zeros(place.width))

    @torch.no_grad()
    def start(self, name: str, drawn: Tensor, generator: Generator) -> None:
        """Draw the weights; arguments as in `Site.start`."""
        if name == "weight":
            drawn.normal_(std=math.sqrt(2 / KERNEL**2), generator=generator)
        else:
            drawn.zero_()

    def forward(self, patches: Tensor) -> Tensor:
        """[batch, patches, width] to the same shape."""
        convolved = conv2d(self.as_map(patches), self.weight, self.bias, padding=KERNEL // 2, groups=self.place.width)
        return patches + self.as_patches(convolved)

"""L2BN (arXiv 2207.02625): BatchNorm of feature maps that each have length 1.

It replaces every BatchNorm of a network. The released networks, of acoustics, keep a last one without γ and β before
the pooling; those of the zoo have none there.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

SHORTEST = 1e-12  # the least length that is divided by; as released


class L2BatchNorm(nn.BatchNorm2d):
    """BN(x_n / max(‖x_n‖₂, 10⁻¹²)): each image's features divided by their length over (C, H, W) together.

    It has no parameter of its own, and does the same in evaluation; running statistics are of the divided features.
    Those have a mean square of 1 / (C H W), down to 10⁻⁶, where BatchNorm's ε of 10⁻⁵ outweighs their variance: the
    output is then close to a fixed multiple of the centred input. `RootMeanSquareBatchNorm` is the same without that.
    """

    def forward(self, x: Tensor) -> Tensor:
        """[batch, channels, height, width] to the same."""
        x = x.to(torch.promote_types(x.dtype, self.weight.dtype))  # squares and 10⁻¹²: not in half precision
        length: Tensor = torch.linalg.vector_norm(x, dim=(1, 2, 3), keepdim=True)
        return super().forward(self.rescaled(x / length.clamp(min=SHORTEST)))

    def rescaled(self, x: Tensor) -> Tensor:
        """What BatchNorm gets of features of length 1."""
        return x


class RootMeanSquareBatchNorm(L2BatchNorm):
    """BN(√(C H W) · x_n / ‖x_n‖₂): L2BN with features of mean square 1, whatever their number."""

    def rescaled(self, x: Tensor) -> Tensor:
        """Features of mean square 1."""
        return x * math.sqrt(x[0].numel())

"""L2BN (arXiv 2207.02625): BatchNorm of feature maps that are first scaled to length 1.

It replaces every BatchNorm of a network. The released acoustic networks keep one last BatchNorm, without γ and β,
before the pooling. The networks of this suite have no BatchNorm there.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

SHORTEST = 1e-12  # lower bound of the divisor, as in the released code


class L2BatchNorm(nn.BatchNorm2d):
    """BN(x_n / max(‖x_n‖₂, 10⁻¹²)): each image's features are divided by their L2 norm over (C, H, W).

    The division adds no parameter and is the same in evaluation. Running statistics are those of the divided features.
    These have a mean square of 1 / (C H W), which can be as small as 10⁻⁶. BatchNorm's ε of 10⁻⁵ then outweighs their
    variance, and the output is close to a fixed multiple of the centred input. `RootMeanSquareBatchNorm` avoids this.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map [batch, channels, height, width] to the same shape."""
        x = x.to(torch.promote_types(x.dtype, self.weight.dtype))  # half precision can't hold the squares or 10⁻¹²
        length: Tensor = torch.linalg.vector_norm(x, dim=(1, 2, 3), keepdim=True)
        return super().forward(self.rescaled(x / length.clamp(min=SHORTEST)))

    def rescaled(self, x: Tensor) -> Tensor:
        """The input of BatchNorm, given features of length 1; subclasses may rescale them."""
        return x


class RootMeanSquareBatchNorm(L2BatchNorm):
    """BN(√(C H W) · x_n / ‖x_n‖₂): L2BN with features rescaled to mean square 1."""

    def rescaled(self, x: Tensor) -> Tensor:
        """The features scaled to mean square 1."""
        return x * math.sqrt(x[0].numel())

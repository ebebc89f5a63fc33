"""The modularity of soft regions, whose negative is DCN's loss (ACSeg, arXiv 2210.05944)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import normalize

_MOST = 256  # prototypes: their numbers are kept as bytes


def modularity_loss(features: Tensor, similarities: Tensor) -> Tensor:
    """The negative modularity, averaged over the images. Gradients flow to the similarities only.

    Args:
        features: of the patches, [images, patches, width].
        similarities: of each patch to each prototype, [images, patches, prototypes].
    """
    return -modularity(features, similarities).mean()


def modularity(features: Tensor, similarities: Tensor) -> Tensor:
    """The modularity of each image, [images]: Σ_ij (A_ij − d_i d_j / 2m) δ_ij / 2m.

    A_ij = max(0, cos(x_i, x_j)) is the weight between two patches, d_i = Σ_j A_ij, 2m = Σ_i d_i, and
    δ_ij = max_c S⁺_ic S⁺_jc with S⁺ = max(0, S). The sums include i = j. The largest tensors are [images, patches,
    patches].

    Args:
        features: of the patches, [images, patches, width]. They are constants: no gradient flows to them.
        similarities: S, of each patch to each prototype, [images, patches, prototypes].

    Raises:
        ValueError: more than 256 prototypes.
    """
    if similarities.shape[2] > _MOST:
        raise ValueError(f"at most {_MOST} prototypes, not {similarities.shape[2]}")
    with torch.no_grad():
        directions = normalize(features, dim=2)
        excess = (directions @ directions.mT).clamp_(min=0)
        degrees = excess.sum(dim=2)
        total = degrees.sum(dim=1).clamp(min=torch.finfo(features.dtype).tiny)[:, None, None]  # features of zeros
        excess -= degrees[:, :, None] * (degrees[:, None] / total)
        excess /= total
    weighted: Tensor = SharedMembership.apply(similarities.clamp(min=0), excess)
    return weighted


class SharedMembership(torch.autograd.Function):
    """The sum Σ_ij w_ij max_c s_ic s_jc of each image, by one pass over the prototypes.

    Autograd through `torch.maximum` would keep tensors [images, patches, patches] for each prototype. This function
    keeps the weights, and one byte for each pair of patches: which prototype has the largest product.

    Call it as `apply(memberships, weights)`. Only the memberships get a gradient.

    Args:
        memberships: s, not negative, [images, patches, prototypes].
        weights: w, symmetric, [images, patches, patches].
    """

    @staticmethod
    def forward(ctx: Any, memberships: Tensor, weights: Tensor) -> Tensor:
        """The sums, [images]."""
        first, *others = memberships.unbind(dim=2)
        largest = first[:, :, None] * first[:, None]
        chosen = torch.zeros_like(largest, dtype=torch.uint8)
        for number, column in enumerate(others, 1):
            product = column[:, :, None] * column[:, None]
            chosen.masked_fill_(product > largest, number)
            torch.maximum(largest, product, out=largest)
        ctx.save_for_backward(memberships, weights, chosen)
        return (weights * largest).sum(dim=(1, 2))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        """The gradient of the memberships. The two places of a membership in a symmetric sum count twice."""
        memberships, weights, chosen = ctx.saved_tensors
        columns = [
            torch.where(chosen == number, weights, 0) @ column[:, :, None]
            for number, column in enumerate(memberships.unbind(dim=2))
        ]
        return 2 * grad[:, None, None] * torch.cat(columns, dim=2), None

"""Losses on logits: what replaces the cross entropy, or is added to it.

Each gets the logits z [B, classes] in single precision, the labels y [B, classes], which mixing and label smoothing
make soft, and the recipe's label smoothing. Each returns the mean over the images, a scalar. p is softmax(z).
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

GAMMA = 2  # of the focal loss: the best value in its paper


def binary_cross_entropy(logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """Mean over images and classes of BCE(σ(z_k), y_k > 0), as DeiT III was released (arXiv 2204.07118).

    A class counts as a label, with its whole weight, if one of the mixed images has it. The mean is over classes too.
    """
    return binary_cross_entropy_with_logits(logits, (labels > 0).to(logits.dtype))


def focal(logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """Σ_k −y_k (1 − p_k)² log p_k: Eq. 4 of arXiv 1708.02002, with softmax in place of its sigmoid, and no α."""
    logarithms = logits.log_softmax(dim=1)
    return -(labels * (1 - logarithms.exp()) ** GAMMA * logarithms).sum(dim=1).mean()


def one_minus_probability(logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """1 − Σ_k y_k p_k: the term of Poly-1 (arXiv 2204.12511), which is cross entropy + ε₁ (1 − p_t)."""
    return (1 - (labels * logits.softmax(dim=1)).sum(dim=1)).mean()

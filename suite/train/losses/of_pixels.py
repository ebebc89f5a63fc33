"""The loss of a segmentation: cross entropy of each pixel."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cross_entropy

IGNORED = -1  # the label of a pixel that counts nowhere


def pixel_cross_entropy(logits: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
    """The cross entropy summed over labelled pixels, over the number of all pixels: a scalar.

    Dividing by all pixels makes the loss of a batch the mean of its images' losses, so that a batch can be taken in
    parts.

    Args:
        logits: [B, classes, H, W].
        labels: int64 [B, H, W]; `IGNORED` where a pixel has none.
        smoothing: label smoothing.
    """
    total = cross_entropy(logits, labels, ignore_index=IGNORED, label_smoothing=smoothing, reduction="sum")
    return total / labels.numel()

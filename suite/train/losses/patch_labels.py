"""The cross entropy of a linear classifier over many patches, computed in pieces that fit in a core's cache."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

PIECE = 2**20  # logits at a time: 4 MB in single precision


class PatchCrossEntropy(torch.autograd.Function):
    """The mean over patches of −log softmax(h weightᵀ + bias) at the label, for a CPU.

    h: [patches, width]; weight: [classes, width]; bias: [classes]; labels: int64 [patches]. The result is a scalar.

    With a thousand classes, the logits of a batch's patches take many times the memory of the patches, and the usual
    operators read or write that memory four times. Here each piece of the logits is processed while it is in the
    cache. Its gradients are computed right away, in the forward pass.
    """

    @staticmethod
    def forward(ctx: Any, h: Tensor, weight: Tensor, bias: Tensor, labels: Tensor) -> Tensor:
        """Compute the loss, a scalar, and save its gradients for the backward pass. See the class for the arguments."""
        rows = max(1, PIECE // len(weight))
        total = h.new_zeros(())
        grads = torch.empty_like(h), torch.zeros_like(weight), torch.zeros_like(bias)
        for piece, shown, grad in zip(h.split(rows), labels[:, None].split(rows), grads[0].split(rows), strict=True):
            logarithms = torch.addmm(bias, piece, weight.t()).log_softmax(dim=1)
            total -= logarithms.gather(1, shown).sum()
            of_logits = logarithms.exp_().scatter_add_(1, shown, logarithms.new_full((), -1.0).expand(shown.shape))
            torch.mm(of_logits, weight, out=grad)
            grads[1].addmm_(of_logits.t(), piece)
            grads[2].add_(of_logits.sum(dim=0))
        ctx.save_for_backward(*grads)
        ctx.patches = len(h)
        return total / len(h)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        """The gradients of h, weight and bias, scaled by the incoming gradient."""
        scale = grad / ctx.patches
        return (*(found * scale for found in ctx.saved_tensors), None)

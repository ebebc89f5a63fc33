"""Attention with a custom backward pass for CPUs. It copies and saves less than autograd through torch's operators."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from suite.models.layers.rotation import turn_gradient, turn_into, turn_table


class PackedAttention(torch.autograd.Function):
    """softmax(q kᵀ / √width + bias) v for all heads, with a dropout mask on the attention weights.

    On a CPU, torch has no fused attention kernel with dropout. This function computes one head at a time on strided
    views, small enough for a core's cache. It writes the gradients in the layout that the projection's backward pass
    reads, so nothing is transposed in memory.

    Call it as `apply(packed, heads, bias, mask, turn)`. It returns [batch, tokens, heads × width], and `packed`, for
    autograd alone: no gradient flows through it. All tensors have one dtype, except the bias, which is converted to it,
    and `turn`.

    With `turn`, q and k are turned in place, in `packed`. A copy of them would take longer than the turning.

    Args:
        packed: the projection to q, k and v in this order, [batch, tokens, 3 × heads × width].
        heads: the number of heads.
        bias: added to the scaled products, [heads, tokens, tokens], or None.
        mask: multiplied with the attention weights, [heads, batch, tokens, tokens], or None.
        turn: the angles by which q and k are turned, as in `suite.models.layers.rotation.turned`, or None.
    """

    @staticmethod
    def forward(
        ctx: Any, packed: Tensor, heads: int, bias: Tensor | None, mask: Tensor | None, turn: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Compute the attention of all heads; see the class for the arguments."""
        batch, tokens, channels = packed.shape
        width = channels // (3 * heads)
        scale = 1 / math.sqrt(width)
        apart = packed.view(batch, tokens, 3, heads, width)
        table = None if turn is None else turn_table(turn)
        if table is not None:
            turn_into(apart[:, :, :2], apart[:, :, :2], table[:, None])
            ctx.mark_dirty(packed)
        mixed = packed.new_empty(batch, tokens, heads, width)
        weights = packed.new_empty(heads, batch, tokens, tokens)
        for head in range(heads):
            q, k, v = apart[:, :, :, head].unbind(dim=2)
            scores = _product(q, k.transpose(1, 2), scale)
            if bias is not None:
                scores += bias[head]
            torch.softmax(scores, dim=-1, out=weights[head])
            used = weights[head] if mask is None else torch.mul(weights[head], mask[head], out=scores)
            torch.bmm(used, v, out=mixed[:, :, head])
        ctx.save_for_backward(packed, weights, mask, table)
        ctx.biased = bias is not None
        ctx.set_materialize_grads(False)
        return mixed.view(batch, tokens, heads * width), packed

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: None) -> Any:
        """The gradients of `packed`, `bias` and `turn`; None for `heads` and `mask`."""
        packed, weights, mask, table = ctx.saved_tensors
        heads, batch, tokens, _ = weights.shape
        apart = packed.view(batch, tokens, 3, heads, -1)
        width = apart.shape[-1]
        scale = 1 / math.sqrt(width)
        grads, of_bias, of_turn = torch.empty_like(apart), [], []
        for head, of_mixed in enumerate(grad.reshape(batch, tokens, heads, width).unbind(dim=2)):
            q, k, v = apart[:, :, :, head].unbind(dim=2)
            of_q, of_k, of_v = grads[:, :, :, head].unbind(dim=2)
            used = weights[head] if mask is None else weights[head] * mask[head]
            torch.bmm(used.transpose(1, 2), of_mixed, out=of_v)
            of_weights = torch.bmm(of_mixed, v.transpose(1, 2))
            if mask is not None:
                of_weights *= mask[head]
            of_scores = torch.ops.aten._softmax_backward_data(of_weights, weights[head], -1, weights.dtype)
            _product(of_scores, k, scale, out=of_q)
            _product(of_scores.transpose(1, 2), q, scale, out=of_k)
            if table is not None and ctx.needs_input_grad[4]:
                of_turned, turned = ([x.contiguous() for x in pair] for pair in ((of_q, of_k), (q, k)))
                of_turn.append(turn_gradient(of_turned, turned, table[:, head]))
            if ctx.biased:
                of_bias.append(of_scores.sum(dim=0))
        if table is not None:
            turn_into(grads[:, :, :2], grads[:, :, :2], table.conj().resolve_conj()[:, None])
        gradients = (torch.stack(parts) if parts else None for parts in (of_bias, of_turn))
        return grads.view(batch, tokens, -1), None, next(gradients), None, next(gradients)


def _product(first: Tensor, second: Tensor, scale: float, out: Tensor | None = None) -> Tensor:
    """The batched matrix product scale · (first @ second) in one pass, optionally written to `out`."""
    return torch.baddbmm(first.new_empty(()), first, second, beta=0, alpha=scale, out=out)
